/* list_programs.c - writes the programs that vitcl would run on devices which are not here: of models of the published
 * shapes, in each variant, under the facts of each class of device. Nothing is typed twice: plans are made as for a
 * device, and their launches tell the programs.
 *
 *     list_programs DIR
 *
 * writes DIR/<program>.cl, and a line for each on stdout: the file; the classes of devices where it can run; those
 * where it is what runs unasked; the variants it is of; its options; its kernels. Fields are separated by tabs, lists
 * by commas, empty ones are "-". Variants that can run in no class have a line with "-" for a file.
 */
#include "made_up_model.h"
#include "run/fit.h"
#include "run/programs.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- devices ---- */

#define KB 1024

struct class
{
    const char *name;
    struct facts facts;
};

static const struct class CLASSES[] = {
    {"gpu48k", {.max_work_group = 1024, .local_memory = 48 * KB, .vector_width = 1}},
    {"gpu64k", {.max_work_group = 1024, .local_memory = 64 * KB, .vector_width = 1}},
    {"small64k", {.max_work_group = 256, .local_memory = 64 * KB, .vector_width = 1}},
    {"small32k", {.max_work_group = 256, .local_memory = 32 * KB, .vector_width = 4}},
    {"mma48k", {.max_work_group = 1024, .local_memory = 48 * KB, .vector_width = 1, .matrix = MATRIX_MMA}},
    {"mfma64k", {.max_work_group = 256, .local_memory = 64 * KB, .vector_width = 1, .matrix = MATRIX_MFMA}},
    {"wmma64k", {.max_work_group = 256, .local_memory = 64 * KB, .vector_width = 1, .matrix = MATRIX_WMMA}},
    {"offline", {.max_work_group = 1024, .local_memory = 16 * KB, .vector_width = 1}},
};

static struct facts facts_of(const struct class *class)
{
    struct facts facts = class->facts;
    facts.has_compiler = strcmp(class->name, "offline") != 0;
    facts.units = 64;
    facts.buffer_align = 512;
    facts.memory = (uint64_t)64 << 30;
    facts.max_alloc = (uint64_t)16 << 30;
    return facts;
}

/* ---- models ---- */

enum feature {
    BIASED = 1, /* BEiT */
    MASKED = 2, /* SigLIP 2 NaFlex */
    ROTARY = 4  /* EVA-02 and DINOv3, with all norms there are */
};

struct shape {
    size_t image, patch, width, heads;
    unsigned features;
};

static const struct shape SHAPES[] = {
    {224, 16, 192, 3, 0},       {224, 16, 384, 6, 0},       {224, 16, 768, 12, 0},  {224, 16, 1024, 16, 0},
    {224, 16, 768, 12, BIASED}, {256, 16, 768, 12, MASKED}, {384, 14, 1152, 16, 0}, {224, 16, 768, 12, ROTARY},
};

static void add_features(struct model *model, const struct shape *s)
{
    struct config *c = &model->config;
    struct weights *w = &model->weights;
    struct block_weights *block = &w->blocks[0];
    const size_t grid = s->image / s->patch, width = s->width, d = width / s->heads, mlp = 4 * width;
    const struct norm norm = {described(1, width), described(1, width)}, head_norm = {described(1, d), described(1, d)};
    if (s->features & BIASED)
        block->bias_table = described((2 * grid - 1) * (2 * grid - 1) + 3, s->heads);
    if (s->features & MASKED) {
        c->traits |= TRAIT_NAFLEX;
        c->max_patches = grid * grid;
        c->prefix = 0;
        c->tokens = grid * grid;
        c->position = POSITION_PATCHES;
        c->pool = POOL_ATTENTION;
        c->head = HEAD_POOLED;
        w->position = described(grid * grid, width);
        w->attention_pool = (struct attention_pool_weights){.probe = described(1, width),
                                                            .query = linear(width, width),
                                                            .kv = linear(2 * width, width),
                                                            .proj = linear(width, width),
                                                            .norm = norm,
                                                            .fc1 = linear(mlp, width),
                                                            .fc2 = linear(width, mlp)};
    }
    if (s->features & ROTARY) {
        c->traits |= TRAIT_GATED;
        c->rope = (struct rope){.kind = ROPE_DINOV3, .theta = 100};
        c->pool = POOL_MEAN;
        block->q_norm = block->k_norm = head_norm;
        block->attention_norm = norm;
        block->fc1 = linear(2 * mlp, width);
        block->mlp_norm = (struct norm){described(1, mlp), described(1, mlp)};
    }
}

static struct request made_up(struct model *model, const struct shape *s, size_t batch, vitcl_precision precision)
{
    struct request request;
    make_model(model, s->image, s->patch, s->width, 1, s->heads, 4 * s->width, 1000);
    add_features(model, s);
    request = request_of(model, batch,
                         s->features & MASKED ? VITCL_OUTPUT_EMBEDDING : VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_HIDDEN);
    request.max_patches = model->config.max_patches;
    request.precision = precision;
    return request;
}

/* ---- what was found ---- */

struct found {
    char name[PROGRAM_NAME_SIZE];
    char options[sizeof((struct launch *)0)->options];
    bool can_run[COUNT(CLASSES)], chosen[COUNT(CLASSES)];
    bool variants[OP_COUNT][MAX_VARIANTS];
    const char *kernels[16];
};

static struct found list[1000];
static size_t list_count;
static const char *folder;
static bool runs[OP_COUNT][MAX_VARIANTS]; /* in some class */

static void give_up(const char *what)
{
    fprintf(stderr, "list_programs: %s\n", what);
    exit(1);
}

static void write_program(const char *name, const struct text *text)
{
    char path[4096];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s.cl", folder, name);
    file = fopen(path, "w");
    if (!file || fwrite(text->chars, 1, text->length, file) != text->length || fclose(file) != 0)
        give_up(path);
}

/* The entry of a launch's program, which is written when it is new. */
static struct found *find(const struct launch *launch)
{
    struct text text = {0};
    char name[PROGRAM_NAME_SIZE];
    vitcl_error err;
    size_t i = 0;
    if (program_text(&text, launch->options, &launch->program, 1, &err) != VITCL_OK)
        give_up(err.message);
    program_name(name, launch->program, &text);
    while (i < list_count && strcmp(list[i].name, name) != 0)
        i++;
    if (i == list_count) {
        if (++list_count > COUNT(list))
            give_up("too many programs");
        memcpy(list[i].name, name, sizeof name);
        memcpy(list[i].options, launch->options, sizeof list[i].options);
        write_program(name, &text);
    }
    text_free(&text);
    return &list[i];
}

static void add_kernel(struct found *found, const char *kernel)
{
    size_t i = 0;
    while (found->kernels[i] && strcmp(found->kernels[i], kernel) != 0)
        if (++i == COUNT(found->kernels))
            give_up("too many kernels");
    found->kernels[i] = kernel;
}

/* The programs of a plan's steps of one operation, or of all. */
static void add_plan(const struct plan *plan, size_t class, const struct facts *facts, enum op op, bool chosen)
{
    for (size_t s = 0; s < plan->step_count; s++) {
        struct launch launches[MAX_LAUNCHES] = {0};
        const struct step *step = &plan->steps[s];
        size_t count, v = 0;
        if (op != OP_COUNT && step->op != op)
            continue;
        while (operation_of(step->op)->variants[v] != step->variant)
            v++;
        count = step_launches(plan, step, facts, launches);
        for (size_t i = 0; i < count; i++) {
            struct found *found;
            if (!launches[i].kernel)
                continue; /* CLBlast's */
            found = find(&launches[i]);
            found->can_run[class] = true;
            found->chosen[class] |= chosen;
            found->variants[step->op][v] = runs[step->op][v] = true;
            add_kernel(found, launches[i].kernel);
        }
    }
}

/* ---- all plans ---- */

static void add_request(const struct request *request, size_t class, enum op op, const char *variants)
{
    const struct facts facts = facts_of(&CLASSES[class]);
    struct request asked = *request;
    struct plan plan;
    vitcl_error err;
    asked.variants = variants;
    if (plan_for(&plan, &asked, &facts, &err) != VITCL_OK) {
        if (!variants)
            give_up(err.message);
        return; /* this variant does not read this precision */
    }
    add_plan(&plan, class, &facts, op, !variants);
    plan_free(&plan);
}

static void add_class(const struct request *request, size_t class)
{
    const struct facts facts = facts_of(&CLASSES[class]);
    add_request(request, class, OP_COUNT, NULL);
    for (size_t op = 0; op < OP_COUNT; op++)
        for (size_t v = 0; v < MAX_VARIANTS && operation_of((enum op)op)->variants[v]; v++) {
            const struct variant *variant = operation_of((enum op)op)->variants[v];
            char variants[64];
            if (variant->obstacle && variant->obstacle(&facts))
                continue;
            snprintf(variants, sizeof variants, "%s=%s", plan_op_name((enum op)op), variant->name);
            add_request(request, class, (enum op)op, variants);
        }
}

/* Of 16-bit numbers the programs of ViT-B/16 and BEiT's and NaFlex's attention must do: other widths differ in as
 * little as they do in floats. */
static bool is_listed(const struct shape *shape, vitcl_precision precision)
{
    return precision == VITCL_PRECISION_F32 || (shape->width == 768 && !(shape->features & ROTARY) &&
                                                (precision == VITCL_PRECISION_BF16 || shape->features == 0));
}

static void add_all(void)
{
    static const vitcl_precision PRECISIONS[] = {VITCL_PRECISION_F32, VITCL_PRECISION_BF16, VITCL_PRECISION_F16};
    static const size_t BATCHES[] = {1, 32};
    for (size_t s = 0; s < COUNT(SHAPES); s++)
        for (size_t p = 0; p < COUNT(PRECISIONS) && is_listed(&SHAPES[s], PRECISIONS[p]); p++)
            for (size_t b = 0; b < COUNT(BATCHES); b++) {
                struct model model;
                const struct request request = made_up(&model, &SHAPES[s], BATCHES[b], PRECISIONS[p]);
                for (size_t class = 0; class < COUNT(CLASSES); class ++)
                    add_class(&request, class);
                free_model(&model);
            }
}

/* ---- printing ---- */

static void print_item(const char *operation, const char *name, bool *first)
{
    printf("%s%s%s%s", *first ? "" : ",", operation, *operation ? "=" : "", name);
    *first = false;
}

static void print_classes(const bool classes[COUNT(CLASSES)])
{
    bool first = true;
    for (size_t c = 0; c < COUNT(CLASSES); c++)
        if (classes[c])
            print_item("", CLASSES[c].name, &first);
    fputs(first ? "-\t" : "\t", stdout);
}

static void print_found(const struct found *found)
{
    bool first = true;
    printf("%s.cl\t", found->name);
    print_classes(found->can_run);
    print_classes(found->chosen);
    for (size_t op = 0; op < OP_COUNT; op++)
        for (size_t v = 0; v < MAX_VARIANTS; v++)
            if (found->variants[op][v])
                print_item(plan_op_name((enum op)op), operation_of((enum op)op)->variants[v]->name, &first);
    printf("\t%s\t", *found->options ? found->options + 1 : "-");
    first = true;
    for (size_t i = 0; i < COUNT(found->kernels) && found->kernels[i]; i++)
        print_item("", found->kernels[i], &first);
    putchar('\n');
}

int main(int argc, char **argv)
{
    if (argc != 2)
        give_up("usage: list_programs DIR");
    folder = argv[1];
    add_all();
    for (size_t i = 0; i < list_count; i++)
        print_found(&list[i]);
    for (size_t op = 0; op < OP_COUNT; op++)
        for (size_t v = 0; v < MAX_VARIANTS && operation_of((enum op)op)->variants[v]; v++)
            if (!runs[op][v])
                printf("-\t-\t-\t%s=%s\t-\t-\n", plan_op_name((enum op)op),
                       operation_of((enum op)op)->variants[v]->name);
    return 0;
}
