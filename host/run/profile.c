/* profile.c - the table behind --profile. Each run gives every launch's span; a kind of step gets the sum of its
 * launches in that run, and in the end the median of these sums. */
#include "run/profile.h"
#include "run/timing.h"

#include <stdlib.h>
#include <string.h>

#define MIN_RUNS 3
#define MAX_RUNS 100
#define SECONDS  2

/* "qkv" of "block 3 qkv". */
static const char *kind_of(const char *label)
{
    static const char BLOCK[] = "block ";
    size_t digits;
    if (strncmp(label, BLOCK, sizeof BLOCK - 1) != 0)
        return label;
    digits = strspn(label + sizeof BLOCK - 1, "0123456789");
    return digits ? label + sizeof BLOCK - 1 + digits + 1 : label;
}

struct table {
    size_t *kind;              /* [step_count]: the line of each step */
    vitcl_profile_line *lines; /* [count], with room for [step_count] */
    size_t count;
    struct span *spans;                    /* of one run's launches */
    double (*seconds)[MAX_RUNS];           /* [count]; of a kind in each run */
    double wall[MAX_RUNS], busy[MAX_RUNS]; /* of each run: from the first start to the last end; the sum of its spans */
    size_t runs;
};

static size_t find_kind(const struct table *table, const struct step *step)
{
    size_t k = 0;
    while (k < table->count && (strcmp(table->lines[k].label, kind_of(step->label)) != 0 ||
                                strcmp(table->lines[k].variant, step->variant_name) != 0))
        k++;
    return k;
}

static vitcl_status table_open(struct table *table, const struct plan *plan, size_t launches, vitcl_error *err)
{
    *table = (struct table){.kind = calloc(plan->step_count, sizeof *table->kind),
                            .lines = calloc(plan->step_count, sizeof *table->lines),
                            .spans = calloc(launches, sizeof *table->spans),
                            .seconds = calloc(plan->step_count, sizeof *table->seconds)};
    if (!table->kind || !table->lines || !table->spans || !table->seconds)
        return fail_memory(err, plan->step_count * sizeof *table->seconds);
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct step *step = &plan->steps[s];
        size_t k = find_kind(table, step);
        vitcl_profile_line *line = &table->lines[k];
        table->kind[s] = k;
        table->count += k == table->count;
        line->label = kind_of(step->label);
        line->variant = step->variant_name;
        line->steps++;
        line->flops += step->flops * (double)plan_passes(plan);
        line->bytes += step->bytes * (double)plan_passes(plan);
    }
    return VITCL_OK;
}

static void table_close(struct table *table)
{
    free(table->kind);
    free(table->lines);
    free(table->spans);
    free(table->seconds);
}

static vitcl_status run_once(struct executor *executor, struct profile *profile, struct table *table,
                             const struct plan *plan, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    size_t count;
    for (size_t pass = 0; pass < plan_passes(plan) && status == VITCL_OK; pass++)
        status = executor_enqueue(executor, err);
    return status == VITCL_OK ? profile_read(profile, table->spans, &count, err) : status;
}

/* The spans of one pass, summed up by kind. */
static void note_pass(struct table *table, const struct executor *executor, const struct plan *plan,
                      const struct span *spans)
{
    for (size_t s = 0; s < plan->step_count; s++)
        for (size_t i = executor_first_launch(executor, s); i < executor_first_launch(executor, s + 1); i++) {
            double seconds = spans[i].end - spans[i].start;
            table->seconds[table->kind[s]][table->runs] += seconds;
            table->busy[table->runs] += seconds;
        }
}

static void note_run(struct table *table, const struct executor *executor, const struct plan *plan)
{
    const size_t launches = executor_first_launch(executor, plan->step_count), passes = plan_passes(plan);
    for (size_t pass = 0; pass < passes; pass++)
        note_pass(table, executor, plan, table->spans + pass * launches);
    table->wall[table->runs++] = table->spans[passes * launches - 1].end - table->spans[0].start;
}

static void tell(struct table *table, vitcl_profile_fn report, void *user, vitcl_profile *total)
{
    *total = (vitcl_profile){
        .runs = table->runs, .wall = median_of(table->wall, table->runs), .busy = median_of(table->busy, table->runs)};
    for (size_t k = 0; k < table->count; k++) {
        table->lines[k].seconds = median_of(table->seconds[k], table->runs);
        total->flops += table->lines[k].flops;
    }
    for (size_t k = 0; report && k < table->count; k++)
        report(user, &table->lines[k]);
}

vitcl_status profile_plan(struct executor *executor, struct device *device, const struct plan *plan,
                          vitcl_profile_fn report, void *user, vitcl_profile *total, vitcl_error *err)
{
    const size_t launches = executor_first_launch(executor, plan->step_count) * plan_passes(plan);
    vitcl_status status;
    struct profile *profile = NULL;
    struct table table;
    double end;

    TRY(table_open(&table, plan, launches, err));
    TRY(profile_open(&profile, device, launches, err));
    TRY(run_once(executor, profile, &table, plan, err)); /* the first run may compile */
    end = seconds_now() + SECONDS;
    while (table.runs < MIN_RUNS || (table.runs < MAX_RUNS && seconds_now() < end)) {
        TRY(run_once(executor, profile, &table, plan, err));
        note_run(&table, executor, plan);
    }
    tell(&table, report, user, total);
done:
    profile_close(&profile);
    table_close(&table);
    return status;
}
