/* progress.h - says on stderr what a long wait is for, and how far a long job is. */
#ifndef VITCL_CLI_PROGRESS_H
#define VITCL_CLI_PROGRESS_H

#include <stddef.h>

/* Starts the watch. From now on, whatever has been going on for 2 seconds is said in a line, and every 10 again. */
void progress_start(void);

/* A phase begins: "compiling matmul.cl for ...". */
void progress_phase(const char *text);

/* Nothing is waited for until the next phase. */
void progress_idle(void);

/* So many images are done; 0 starts the clock. 2 seconds later a bar appears in stderr's last line, where that is a
 * terminal and the results go elsewhere: in a terminal they tell how far the job is. */
void progress_count(size_t done, size_t total);

/* Removes the bar before something else is printed on stderr; the next count draws it again. */
void progress_clear(void);

void progress_stop(void);

#define PROGRESS_BAR_SIZE 128

/* The bar after so many seconds: "[#####               ]  50/200  8.3 images/s  0:18 left". */
void progress_format(char bar[PROGRESS_BAR_SIZE], size_t done, size_t total, double seconds);

#endif
