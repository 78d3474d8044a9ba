/* select.c - the grammar of VITCL_DEVICE:
 *
 *     N   P:D   gpu|cpu|accelerator|custom[:N]   pci:BB:DD.F   uuid:HEX   name:TEXT   TEXT   (empty)
 *
 * A text that selects nothing is an error with the list of what would; nothing is ever clamped or replaced.
 */
#include "device/select.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    unsigned kinds;
} KIND_WORDS[] = {
    {"gpu", KIND_GPU},
    {"cpu", KIND_CPU},
    {"accelerator", KIND_ACCELERATOR},
    {"custom", KIND_CUSTOM},
};

static bool usable(const struct candidate *c)
{
    return c->info.available && c->info.compiler_works;
}

/* A text of digits only, small enough to be a position; false otherwise. */
static bool parse_number(const char *text, size_t length, size_t *number)
{
    *number = 0;
    if (length == 0 || length > 6)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        *number = *number * 10 + (size_t)(text[i] - '0');
    }
    return true;
}

/* needle in "platform / vendor / name", in any case. */
static bool name_contains(const struct candidate *c, const char *needle)
{
    char name[400];
    size_t length = strlen(needle);
    snprintf(name, sizeof name, "%s / %s / %s", c->info.platform, c->info.vendor, c->info.name);
    for (const char *at = name; *at; at++)
        if (strncasecmp(at, needle, length) == 0)
            return true;
    return false;
}

/* The n-th candidate of the given kinds; count where there is none. */
static size_t nth_of_kind(const struct candidate *list, size_t count, unsigned kinds, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if ((list[i].kinds & kinds) && n-- == 0)
            return i;
    return count;
}

/* ---- the automatic choice ---- */

/* A guess at the speed of a device among others of its kind. The vector width counts for CPUs only: GPUs report what
 * suits their compiler, not their hardware. */
static double speed(const struct candidate *c)
{
    double lanes = c->kinds == KIND_CPU && c->vector_width ? c->vector_width : 1;
    return lanes * c->info.units * (c->clock ? c->clock : 1);
}

/* The fastest usable device that is of this kind and no other; count where there is none. */
static size_t fastest(const struct candidate *list, size_t count, unsigned kind, size_t *usable_count)
{
    size_t best = count;
    *usable_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].kinds != kind || !usable(&list[i]))
            continue;
        ++*usable_count;
        if (best == count || speed(&list[i]) > speed(&list[best]))
            best = i;
    }
    return best;
}

static size_t automatic(const struct candidate *list, size_t count, const char **why)
{
    size_t usable_count;
    size_t best = fastest(list, count, KIND_GPU, &usable_count);
    *why = usable_count > 1 ? "the fastest GPU by compute units x clock" : "the only GPU";
    if (best < count)
        return best;
    best = fastest(list, count, KIND_CPU, &usable_count);
    *why = usable_count > 1 ? "no GPU here; the fastest CPU device by compute units x clock x vector width"
                            : "no GPU here; the only CPU device";
    return best;
}

/* ---- explicit choices ---- */

/* Each of these tries one form of the grammar and returns the candidate's index, or count when nothing matches. The
 * flag says whether the text has this form: then no other form is tried. */
static size_t match_word(const struct candidate *list, size_t count, const char *selector, bool *is_word)
{
    size_t length = strcspn(selector, ":"), n = 0;
    *is_word = false;
    for (size_t k = 0; k < sizeof KIND_WORDS / sizeof *KIND_WORDS; k++) {
        const char *word = KIND_WORDS[k].word;
        if (strlen(word) != length || strncasecmp(word, selector, length) != 0)
            continue;
        *is_word = true;
        if (selector[length] && !parse_number(selector + length + 1, strlen(selector + length + 1), &n))
            return count;
        return nth_of_kind(list, count, KIND_WORDS[k].kinds, n);
    }
    return count;
}

static size_t match_position(const struct candidate *list, size_t count, const char *selector, bool *is_position)
{
    size_t length = strcspn(selector, ":"), platform = 0, device = 0;
    /* "-1" is a position, too: a wrong one, not a part of the name "i7-1370P". */
    *is_position = selector[strspn(selector, "0123456789:+-.")] == '\0';
    if (!*is_position || !parse_number(selector, length, &platform))
        return count;
    if (!selector[length])
        return platform < count ? platform : count;
    if (!parse_number(selector + length + 1, strlen(selector + length + 1), &device))
        return count;
    for (size_t i = 0; i < count; i++)
        if (list[i].platform == platform && list[i].index == device)
            return i;
    return count;
}

/* "uuid:" with dashes or without. */
static bool same_uuid(const char *uuid, const char *text)
{
    size_t i = 0;
    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (tolower((unsigned char)*text) != uuid[i] || !uuid[i])
            return false;
        i++;
    }
    return i == 32;
}

static size_t match_name(const struct candidate *list, size_t count, const char *text, size_t *matches)
{
    size_t first = count;
    *matches = 0;
    for (size_t i = 0; *text && i < count; i++)
        if (name_contains(&list[i], text) && (*matches)++ == 0)
            first = i;
    return first;
}

/* *matches is the number of candidates that a part of a name fits; 1 for the other forms. */
static size_t match(const struct candidate *list, size_t count, const char *selector, size_t *matches)
{
    bool decided;
    size_t found = match_word(list, count, selector, &decided);
    *matches = 1;
    if (!decided)
        found = match_position(list, count, selector, &decided);
    if (decided)
        return found;
    if (strncasecmp(selector, "pci:", 4) == 0) {
        for (size_t i = 0; i < count; i++)
            if (list[i].pci[0] && strcasecmp(list[i].pci, selector + 4) == 0)
                return i;
        return count;
    }
    if (strncasecmp(selector, "uuid:", 5) == 0) {
        for (size_t i = 0; i < count; i++)
            if (same_uuid(list[i].uuid, selector + 5))
                return i;
        return count;
    }
    if (strncasecmp(selector, "name:", 5) == 0)
        selector += 5;
    return match_name(list, count, selector, matches);
}

/* ---- messages ---- */

static vitcl_status fail_with_list(const struct candidate *list, size_t count, const char *cause, vitcl_error *err)
{
    struct text text = {0};
    text_add(&text, "%s. The devices here, and what selects each:", cause);
    for (size_t i = 0; i < count; i++)
        text_add(&text, "\n  %zu  %s / %s  (VITCL_DEVICE=\"%s\")%s%s", i, list[i].info.platform, list[i].info.name,
                 list[i].info.selector, list[i].info.available ? "" : "  not available",
                 list[i].info.compiler_works ? "" : "  its compiler does not work");
    fail(err, VITCL_ERROR_DEVICE, "%s", text.chars ? text.chars : cause);
    text_free(&text);
    return VITCL_ERROR_DEVICE;
}

static vitcl_status check_usable(const struct candidate *list, size_t count, size_t index, vitcl_error *err)
{
    char cause[512];
    const struct candidate *c = &list[index];
    if (usable(c))
        return VITCL_OK;
    snprintf(cause, sizeof cause, "%s / %s %s", c->info.platform, c->info.name,
             c->info.available ? "has no OpenCL compiler that works; kernels compiled elsewhere need none (vitcl_run "
                                 "--kernels-out, VITCL_KERNELS)"
                               : "is not available (in use, or its driver failed)");
    return fail_with_list(list, count, cause, err);
}

vitcl_status select_device(const struct candidate *list, size_t count, const char *selector, size_t *index,
                           char why[160], vitcl_error *err)
{
    char cause[256];
    const char *reason;
    size_t matches;

    selector += strspn(selector, " \t");
    if (!*selector) {
        *index = automatic(list, count, &reason);
        snprintf(why, 160, "%s", reason);
        if (*index == count)
            return fail_with_list(list, count, "no device can be taken automatically: there is no usable GPU or CPU",
                                  err);
        return VITCL_OK;
    }
    *index = match(list, count, selector, &matches);
    if (*index == count) {
        snprintf(cause, sizeof cause, "no OpenCL device matches \"%.100s\"", selector);
        return fail_with_list(list, count, cause, err);
    }
    if (matches > 1)
        snprintf(why, 160, "the first of %zu that match \"%.100s\"", matches, selector);
    else
        snprintf(why, 160, "selected by \"%.100s\"", selector);
    return check_usable(list, count, *index, err);
}

/* ---- the shortest selector ---- */

/* Writes the shortest text that selects candidate i and does not depend on the order of the list, or else its number:
 * the kind, where it is the only one of it; a word of its name that no other has; where it sits on the bus. */
static void find_selector(struct candidate *list, size_t count, size_t i)
{
    char *selector = list[i].info.selector;
    size_t size = sizeof list[i].info.selector;
    char name[sizeof list[i].info.name + sizeof list[i].info.platform + 2], *save = NULL;
    size_t matches, shortest = size;

    snprintf(selector, size, "pci:%s", list[i].pci);
    if (!list[i].pci[0] || match(list, count, selector, &matches) != i)
        snprintf(selector, size, "%zu", i);
    for (size_t k = 0; k < sizeof KIND_WORDS / sizeof *KIND_WORDS; k++) {
        if ((list[i].kinds & KIND_WORDS[k].kinds) && nth_of_kind(list, count, KIND_WORDS[k].kinds, 1) == count) {
            snprintf(selector, size, "%s", KIND_WORDS[k].word);
            return;
        }
    }
    snprintf(name, sizeof name, "%s %s", list[i].info.name, list[i].info.platform);
    for (char *word = strtok_r(name, " (),/", &save); word; word = strtok_r(NULL, " (),/", &save)) {
        if (strlen(word) >= 3 && strlen(word) < shortest && !isdigit((unsigned char)*word) &&
            match(list, count, word, &matches) == i && matches == 1) {
            snprintf(selector, size, "%s", word);
            shortest = strlen(word);
        }
    }
}

void candidates_finish(struct candidate *list, size_t count)
{
    const char *why;
    size_t chosen = automatic(list, count, &why);
    for (size_t i = 0; i < count; i++) {
        find_selector(list, count, i);
        list[i].info.automatic = i == chosen;
    }
}
