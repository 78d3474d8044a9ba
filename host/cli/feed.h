/* feed.h - brings a list of inputs to a job. */
#ifndef VITCL_CLI_FEED_H
#define VITCL_CLI_FEED_H

#include "cli/input.h"
#include "cli/job.h"
#include "cli/loader.h"

/* Images in a file; 1 for what can not be read, which is said later. */
size_t feed_count(const char *path);

/* Adds all that the loader reads to the job and finishes it. False after saying on stderr why it could not go on. */
bool feed_all(struct job *job, struct loader *loader);

#endif
