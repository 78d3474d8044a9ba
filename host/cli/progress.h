/* progress.h - says on stderr what a long wait is for. */
#ifndef VITCL_CLI_PROGRESS_H
#define VITCL_CLI_PROGRESS_H

/* Starts the watch. From now on, whatever has been going on for 2 seconds is said in a line, and every 10 again. */
void progress_start(void);

/* A phase begins: "compiling matmul.cl for ...". */
void progress_phase(const char *text);

/* Nothing is waited for until the next phase. */
void progress_idle(void);

void progress_stop(void);

#endif
