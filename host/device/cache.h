/* cache.h - small files that spare a later process some work: programs as a device compiled them, what was measured on
 * it. Each is found by its kind and its key, a text which tells everything that the content depends on.
 *
 * Nothing here fails: what can not be read, or is not exactly what was written, is not there, and what can not be
 * written is left out. Either is one line at VITCL_LOG_DEBUG.
 */
#ifndef VITCL_DEVICE_CACHE_H
#define VITCL_DEVICE_CACHE_H

#include "base/log.h"

#include <stddef.h>

/* All zero is a cache that is off: it holds nothing and takes nothing. */
struct cache {
    bool on;
    int folder; /* its file descriptor */
    struct logger log;
};

/* $VITCL_CACHE_DIR, else $XDG_CACHE_HOME/vitcl, else $HOME/.cache/vitcl; an empty variable counts as unset. Made with
 * mode 0700 where it is missing. Programs in it run with the user's rights, so it must be a folder, not a link to one,
 * of the effective user, and writable by no other. Off where it is not, where VITCL_CACHE_DIR is "off", and in a
 * process that runs with the rights of another user than the one who started it. */
void cache_open(struct cache *cache, const struct logger *log);
void cache_close(struct cache *cache);

#define CACHE_MAX_FILE ((size_t)64 << 20) /* bytes: larger ones are neither written nor read */

/* What was written for this kind and key. The caller frees *bytes, [size]. `kind` begins the file's name. */
bool cache_read(const struct cache *cache, const char *kind, const char *key, unsigned char **bytes, size_t *size);

/* Replaces what is there in one step: other processes read the old content or the new. */
void cache_write(const struct cache *cache, const char *kind, const char *key, const void *bytes, size_t size);

#endif
