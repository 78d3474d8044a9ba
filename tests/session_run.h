/* session_run.h - for tests on a device: a fixture's session with all its outputs, fed with pixel values of two kinds.
 * As in support.h, what can not be done fails the running test.
 */
#ifndef VITCL_TESTS_SESSION_RUN_H
#define VITCL_TESTS_SESSION_RUN_H

#include "fixture.h"
#include "run/session.h"

struct run {
    struct fixture fixture;
    struct session *session;
    size_t batch;
    float *pixels[2]; /* two batches of random numbers; images of variable resolution have the fixture's grids, those of
                         the second batch in another order */
};

/* device NULL: the plain-C reference. */
void run_open(struct run *run, struct device *device, const char *folder, size_t batch, const char *variants);
void run_close(struct run *run);

enum { OUTPUTS = OUTPUT_COUNT };

/* The results of one run: logits, embedding and hidden states, owned. */
struct answer {
    float *output[OUTPUTS];
};

/* Numbers of an output per image; 0 where the model has no such output. */
size_t run_size_of(const struct run *run, size_t output);

/* Submits the first `count` images of pixels[which]. */
void run_submit(struct run *run, size_t which, size_t count);

/* The results of the oldest run, which has `count` images. One image more has room, and must stay as it was. */
struct answer run_fetch(struct run *run, size_t count);

/* Both. */
struct answer run_ask(struct run *run, size_t which, size_t count);

void answer_free(struct answer *answer);

/* Fails unless `count` images have the same results to the bit. */
void assert_same(const struct run *run, const struct answer *a, const struct answer *b, size_t count);

#endif
