/* session_run.c - see session_run.h. */
#include "session_run.h"

#include <stdlib.h>
#include <string.h>

void run_open(struct run *run, struct device *device, const char *folder, size_t batch, const char *variants)
{
    struct fixture *f = &run->fixture;
    vitcl_error err;
    struct request request;
    struct random random = {1};
    fixture_open(f, folder);
    request = fixture_request(f, batch);
    request.variants = variants;
    run->batch = batch;
    assert_ok(session_create(&run->session, device, &request, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        run->pixels[i] = allocate(batch * f->image_size, sizeof(float));
        random_fill(&random, run->pixels[i], batch * f->image_size, 0, 1);
    }
}

void run_close(struct run *run)
{
    session_destroy(&run->session);
    assert_null(run->session);
    free(run->pixels[0]);
    free(run->pixels[1]);
    fixture_close(&run->fixture);
}

size_t run_size_of(const struct run *run, size_t output)
{
    const struct plan *plan = &run->session->plan;
    int tensor = plan->outputs[output];
    return tensor == NO_TENSOR ? 0 : plan_image_bytes(plan, tensor, 1) / sizeof(float);
}

void run_submit(struct run *run, size_t which, size_t count)
{
    vitcl_error err;
    float *place = session_next_pixels(run->session);
    assert_non_null(place);
    memcpy(place, run->pixels[which], count * run->fixture.image_size * sizeof *place);
    for (size_t i = 0; i < count && run->fixture.grids; i++) {
        struct grid grid = fixture_grid(&run->fixture, i + which);
        assert_ok(session_set_grid(run->session, i, (vitcl_grid){grid.height, grid.width}, &err), &err);
    }
    assert_ok(session_submit(run->session, count, &err), &err);
}

struct answer run_fetch(struct run *run, size_t count)
{
    struct answer answer;
    vitcl_error err;
    for (size_t i = 0; i < OUTPUTS; i++) {
        answer.output[i] = allocate((count + 1) * run_size_of(run, i) + 1, sizeof(float));
        memset(answer.output[i], 0xff, (count + 1) * run_size_of(run, i) * sizeof(float));
    }
    assert_ok(session_wait(run->session,
                           &(vitcl_results){answer.output[OUTPUT_LOGITS], answer.output[OUTPUT_EMBEDDING],
                                            answer.output[OUTPUT_HIDDEN]},
                           &err),
              &err);
    for (size_t i = 0; i < OUTPUTS; i++) {
        const unsigned char *behind = (const unsigned char *)(answer.output[i] + count * run_size_of(run, i));
        for (size_t byte = 0; byte < run_size_of(run, i) * sizeof(float); byte++)
            assert_int_equal(behind[byte], 0xff);
    }
    return answer;
}

struct answer run_ask(struct run *run, size_t which, size_t count)
{
    run_submit(run, which, count);
    return run_fetch(run, count);
}

void answer_free(struct answer *answer)
{
    for (size_t i = 0; i < OUTPUTS; i++)
        free(answer->output[i]);
}

void assert_same(const struct run *run, const struct answer *a, const struct answer *b, size_t count)
{
    for (size_t i = 0; i < OUTPUTS; i++)
        assert_memory_equal(a->output[i], b->output[i], count * run_size_of(run, i) * sizeof(float));
}
