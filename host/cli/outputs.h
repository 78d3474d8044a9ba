/* outputs.h - what a run gives beside its text: the arrays the library fills, and the .npy files they go to. */
#ifndef VITCL_CLI_OUTPUTS_H
#define VITCL_CLI_OUTPUTS_H

#include "cli/npy.h"
#include "cli/options.h"
#include "vitcl.h"

struct outputs {
    unsigned kept;         /* vitcl_output, or-ed: what the session must keep */
    vitcl_results results; /* [batch_size,...]; NULL for what is not kept */
    struct npy_writer logits, embedding, hidden, pixels;
};

/* What must be kept for these options: what is asked for, and what the report prints. */
unsigned outputs_kept(const struct options *options, const vitcl_model_info *info);

/* Allocates the arrays and opens the files. False after saying on stderr what failed. */
bool outputs_open(struct outputs *outputs, const struct options *options, const vitcl_model_info *info,
                  size_t batch_size);

/* Appends `count` rows of the results, or of pixel values, to the files that were asked for. False as above. */
bool outputs_write(struct outputs *outputs, size_t count);
bool outputs_write_pixels(struct outputs *outputs, const float *pixels, size_t count);

/* Completes the files: only now do they take their places. False as above. */
bool outputs_finish(struct outputs *outputs);

/* Frees everything; files that were not completed leave no trace. Accepts a zeroed struct. */
void outputs_close(struct outputs *outputs);

#endif
