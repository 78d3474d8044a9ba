/* inspect.c - vitcl.h: sessions that look into their device: verification, profile. */
#include "api/handles.h"

#include <string.h>

/* Fills the next slot of a session that looks into its device, --verify or --profile. A batch that is not full repeats
 * its images. */
static vitcl_status fill_batch(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids, size_t count,
                               vitcl_error *error)
{
    vitcl_status status;
    const vitcl_results nothing = {0};
    size_t image, batch;
    float *pixels;
    TRY(check_run(session, count, &nothing, error));
    if (!session->session->device)
        TRY(fail(error, VITCL_ERROR_ARGUMENT, "a session without a device is the reference itself"));
    image = session_image_size(session->session);
    pixels = session_next_pixels(session->session);
    batch = session->session->plan.images;
    TRY(check_grids(session, grids, count, error));
    for (size_t i = 0; i < batch; i++) {
        memcpy(pixels + i * image, pixel_values + i % count * image, image * sizeof *pixels);
        if (has_grids(session))
            TRY(session_set_grid(session->session, i, grids[i % count], error));
    }
done:
    return status;
}

vitcl_status vitcl_session_verify(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                  size_t count, vitcl_verify_fn report, void *user, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    TRY(fill_batch(session, pixel_values, grids, count, error));
    TRY(session_verify(session->session, report, user, error));
done:
    return status;
}

vitcl_status vitcl_session_profile(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                   size_t count, vitcl_profile_fn report, void *user, vitcl_profile *total,
                                   vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values || !total)
        return fail_null(error, "session, pixel_values and total");
    TRY(fill_batch(session, pixel_values, grids, count, error));
    TRY(session_profile(session->session, report, user, total, error));
done:
    return status;
}
