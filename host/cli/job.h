/* job.h - the images of one call on their way through the device: gathered into batches, run, answered in the order
 * they came. classify.c sets a job up, feed.c brings the images. What overflows f16 is run again in f32.
 */
#ifndef VITCL_CLI_JOB_H
#define VITCL_CLI_JOB_H

#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/report.h"
#include "vitcl.h"

#define NAME_SIZE 4200 /* a path, and "[row]" of a .npy file */

/* An image of a batch, or what was in the way of one that came between them. */
struct entry {
    char *name;    /* owned */
    char *problem; /* owned; NULL: an image of the run */
};

struct batch {
    struct entry *entries; /* [count], in the order of the inputs */
    size_t count, capacity;
    size_t images;     /* entries without a problem */
    float *pixels;     /* [batch_size,image_size]: their pixel values */
    vitcl_grid *grids; /* [batch_size]; 0 x 0 unless the model is of variable resolution */
};

struct job {
    const vitcl_model *model;
    vitcl_context *context;
    vitcl_session_params params; /* of the session */
    vitcl_session *session;
    vitcl_model_info info;
    size_t batch_size;
    enum mode mode;  /* MODE_RUN, MODE_VERIFY or MODE_PROFILE */
    vitcl_peak peak; /* of the device; MODE_PROFILE */
    struct report report;
    struct outputs outputs;
    struct texts texts;
    size_t image_size; /* numbers in one image's pixel values */
    struct batch filling;
    struct batch flying[VITCL_QUEUE_DEPTH]; /* oldest first; in f16 with their pixels, as they may have to fly again */
    size_t in_flight;
    size_t done, total; /* images and inputs without one; `total` grows when a .npy file turns out to have many */
    bool failed;        /* an input failed; the job went on */
};

/* Those that return bool: false after saying on stderr why nothing can go on. */

/* Memory for batches of batch_size images; params.precision is known. */
bool job_allocate(struct job *job);

/* Makes the session of params; where the weights overflow f16, and images are to be answered, in f32. */
bool job_open_session(struct job *job);

/* Where the pixel values [image_size] of the next image are to be put before job_add. */
float *job_next_pixels(const struct job *job);

/* They are in place; the batch goes to the device when it is full. */
bool job_add(struct job *job, const char *name, vitcl_grid grid);

/* An input that gives no image: reported at its place in the order. */
bool job_add_failure(struct job *job, const char *name, const char *message);

/* Sends what is gathered and answers all that is in flight. */
bool job_finish(struct job *job);

/* Frees all that the job owns. */
void job_clear(struct job *job);

#endif
