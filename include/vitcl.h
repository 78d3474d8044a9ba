/* vitcl.h - Vision Transformers on any OpenCL device, from the files that Hugging Face and timm
 * publish.
 *
 *     vitcl_error error;
 *     vitcl_context *context = NULL;
 *     vitcl_model *model = NULL;
 *     vitcl_session *session = NULL;
 *     float logits[10];
 *
 *     if (vitcl_context_create(&context, NULL, &error) == VITCL_OK &&
 *         vitcl_model_create(&model, "tests/fixtures/digits", NULL, &error) == VITCL_OK &&
 *         vitcl_session_create(&session, context, model, NULL, &error) == VITCL_OK) {
 *         vitcl_image image = {.pixels = rgb, .width = w, .height = h};
 *         vitcl_results results = {.logits = logits};
 *         if (vitcl_session_run(session, &image, 1, &results, &error) == VITCL_OK)
 *             puts(vitcl_model_label(model, argmax(logits)));
 *     }
 *     ... error.message says what went wrong and what to do ...
 *     vitcl_session_destroy(&session);
 *     vitcl_model_destroy(&model);
 *     vitcl_context_destroy(&context);
 *
 * Rules that hold for every declaration below:
 * - Handles are created by `create` and freed by `destroy`, which takes the handle's address, accepts NULL and writes
 *   NULL. When `create` fails it writes NULL; there is nothing to free.
 * - Params structs: all zero is the default, and NULL stands for all zero. They need live only until the call returns.
 * - Every call that can fail returns a vitcl_status and, where `error` is not NULL, fills it. On success `error` is
 *   left alone. Nothing here prints, exits or aborts; there is no global state.
 * - A NULL where a handle is required, or a value out of its documented range, is VITCL_ERROR_ARGUMENT.
 * - Letters in shapes: B batch, N patches, T tokens, D width, C classes, S image side in pixels. All arrays are
 *   C order (the last axis is contiguous).
 * - Where a parameter is left NULL, the library reads the environment variables VITCL_DEVICE, VITCL_VARIANT and
 *   VITCL_KERNELS.
 * Compiled programs, and what vitcl_tune finds, are kept in files: in the folder VITCL_CACHE_DIR, else
 * XDG_CACHE_HOME/vitcl, else HOME/.cache/vitcl, which is made where it is missing; VITCL_CACHE_DIR=off keeps none. It
 * never changes the environment. PoCL runs on one core about half of the time unless POCL_AFFINITY=1 is set before the
 * first OpenCL call of the process: a program should set it (vitcl_run does).
 */
#ifndef VITCL_H
#define VITCL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITCL_VERSION_MAJOR  0
#define VITCL_VERSION_MINOR  1
#define VITCL_VERSION_PATCH  0
#define VITCL_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define VITCL_API __attribute__((visibility("default")))
#else
#define VITCL_API
#endif

/* The version of the library that is running; VITCL_VERSION_STRING is the one compiled against. */
VITCL_API const char *vitcl_version(void);

/* ---- errors and messages ---------------------------------------------------------------------------------------- */

typedef enum vitcl_status {
    VITCL_OK = 0,
    VITCL_ERROR_ARGUMENT,    /* the caller passed something the declaration rules out */
    VITCL_ERROR_IO,          /* a file is missing or can not be read */
    VITCL_ERROR_FORMAT,      /* a file is damaged or contradicts itself */
    VITCL_ERROR_UNSUPPORTED, /* a file is sound, but asks for something vitcl does not do */
    VITCL_ERROR_DEVICE,      /* no such device, or none at all */
    VITCL_ERROR_OPENCL,      /* an OpenCL or CLBlast call failed: cl_code has its code */
    VITCL_ERROR_MEMORY,      /* host or device memory does not suffice */
    VITCL_ERROR_MISMATCH,    /* vitcl_session_verify: the device's numbers are not the reference's */
    VITCL_ERROR_OVERFLOW     /* a number is too large for VITCL_PRECISION_F16: another precision runs the model */
} vitcl_status;

/* Filled by the failing call, owned by the caller. */
typedef struct vitcl_error {
    vitcl_status status;
    int cl_code;        /* the OpenCL error code, 0 where OpenCL was not involved */
    char message[2048]; /* one or more lines, no newline at the end: what failed, and what to do about it */
} vitcl_error;

/* "VITCL_ERROR_FORMAT" for VITCL_ERROR_FORMAT; "unknown status" for anything else. */
VITCL_API const char *vitcl_status_name(vitcl_status status);

typedef enum vitcl_log_level {
    VITCL_LOG_DEBUG,    /* for whoever debugs vitcl */
    VITCL_LOG_PROGRESS, /* a phase that may take long begins: "compiling attention.cl" */
    VITCL_LOG_INFO,     /* worth one line to a user: which device was chosen and why */
    VITCL_LOG_WARNING   /* something the user did not ask for */
} vitcl_log_level;

/* Receives one line without a newline. Called from the thread that called vitcl. */
typedef void (*vitcl_log_fn)(void *user, vitcl_log_level level, const char *line);

/* ---- devices ---------------------------------------------------------------------------------------------------- */

/* One OpenCL device as seen from here. */
typedef struct vitcl_device_info {
    char selector[160];  /* the shortest text that selects this device and no other, for VITCL_DEVICE */
    char platform[128];  /* CL_PLATFORM_NAME */
    char vendor[128];    /* CL_DEVICE_VENDOR */
    char name[128];      /* CL_DEVICE_NAME */
    char version[128];   /* CL_DEVICE_VERSION */
    char driver[128];    /* CL_DRIVER_VERSION */
    const char *kind;    /* "GPU", "CPU", "accelerator", "custom" or "simulator"; a static string */
    uint64_t memory;     /* bytes of global memory */
    uint64_t max_alloc;  /* bytes of the largest single buffer */
    unsigned units;      /* compute units */
    bool available;      /* CL_DEVICE_AVAILABLE */
    bool compiler_works; /* a small kernel was compiled just now */
    bool automatic;      /* true for the one that an empty selector takes */
} vitcl_device_info;

/* Lists every device of every platform, in the order their flat numbers 0, 1, ... count.
 * On success *list is an array of *count entries, freed by vitcl_device_list_destroy. No device at all is
 * VITCL_ERROR_DEVICE with a message that says what to install. Thread-safe. */
VITCL_API vitcl_status vitcl_device_list_create(vitcl_device_info **list, size_t *count, vitcl_error *error);
VITCL_API void vitcl_device_list_destroy(vitcl_device_info **list);

typedef struct vitcl_context vitcl_context;

typedef struct vitcl_context_params {
    /* Which device: "N" as the list counts, "P:D", "gpu|cpu|accelerator|custom[:N]", "pci:BB:DD.F", "uuid:HEX", or a
     * part of "platform / vendor / name" in any case; "name:TEXT" forces the latter. "" takes the best GPU, else a CPU.
     * NULL takes the environment variable VITCL_DEVICE. A text that selects nothing is an error that lists what
     * would; there is no fallback. */
    const char *device;
    /* Kernels that were compiled beforehand, for a device without a compiler: a folder of binaries, or one file of them
     * (vitcl_kernels_write says how they are called). Then nothing is compiled, on no device. NULL takes the
     * environment variable VITCL_KERNELS; "" compiles. */
    const char *kernels;
    vitcl_log_fn log; /* NULL: silent */
    void *log_user;
} vitcl_context_params;

/* Opens one device: an OpenCL context and an in-order queue. A context may be used by one thread at a time, and
 * must outlive its sessions. */
VITCL_API vitcl_status vitcl_context_create(vitcl_context **context, const vitcl_context_params *params,
                                            vitcl_error *error);
VITCL_API void vitcl_context_destroy(vitcl_context **context);

/* "platform / vendor / name" of the device in use; lives as long as the context. */
VITCL_API const char *vitcl_context_device(const vitcl_context *context);

/* What a device can do at most, per second. */
typedef struct vitcl_peak {
    double flops; /* float multiply-adds, each of which counts as two */
    double bytes; /* copied: those read and those written */
} vitcl_peak;

/* Measures it, for a second or two: the fastest runs of two kernels that do nothing else. */
VITCL_API vitcl_status vitcl_context_measure_peak(vitcl_context *context, vitcl_peak *peak, vitcl_error *error);

/* ---- models ----------------------------------------------------------------------------------------------------- */

typedef struct vitcl_model vitcl_model;

/* Whose resize: the libraries differ by a level here and there. */
typedef enum vitcl_resize {
    VITCL_RESIZE_AS_LIBRARY, /* torchvision's for Hugging Face folders, as transformers 5 does; Pillow's for timm's */
    VITCL_RESIZE_PIL,
    VITCL_RESIZE_TORCHVISION
} vitcl_resize;

typedef struct vitcl_model_params {
    /* Pixels, 1 to 65536, both or none. The size to run images at: positions are interpolated as the model's library
     * does it. 0: the model's own, or what its preprocessor makes where its library interpolates unasked. An error for
     * a model of variable resolution, which runs each image in its own shape. */
    size_t image_height, image_width;
    vitcl_resize resize;
} vitcl_model_params;

/* Reads a model folder as published: config.json; model.safetensors, or model.safetensors.index.json and its shards; of
 * a Hugging Face folder preprocessor_config.json or processor_config.json, whose lack is an error only once an image is
 * to be preprocessed. The weights stay in the mapped files. A model that vitcl would not run exactly as its library
 * does is refused. Models are immutable and may be shared between threads; they must outlive their sessions. */
VITCL_API vitcl_status vitcl_model_create(vitcl_model **model, const char *folder, const vitcl_model_params *params,
                                          vitcl_error *error);
VITCL_API void vitcl_model_destroy(vitcl_model **model);

/* What was read. All sizes in the units named; zero where the model has no such thing. */
typedef struct vitcl_model_info {
    const char *family;       /* "vit"; a static string */
    const char *architecture; /* "ViTForImageClassification"; lives as long as the model */
    bool timm;                /* a timm folder: its library leaves pictures as they are stored, see image_read */
    size_t image_height, image_width; /* of the images that sessions run, pixels */
    bool any_size;                    /* the library takes images of other sizes unasked */
    size_t max_patches;               /* a model of variable resolution: of one image; 0 for all others */
    size_t patch_height, patch_width; /* pixels */
    size_t tokens;                    /* T, at that size */
    size_t prefix_tokens;             /* those before the patches: class, distillation, registers */
    size_t input;                     /* numbers in the pixel values of one image */
    size_t width;                     /* D */
    size_t layers, heads;
    size_t mlp_width;
    const char *activation; /* of the mlp: "gelu"; a static string */
    bool gated;             /* the mlp multiplies two halves */
    double eps;             /* of every LayerNorm */
    const char *pooling;    /* "class token"; a static string */
    size_t classes;         /* C; 0 without a classifier */
    size_t embedding;       /* E: length of the embedding; 0 where the model has none */
    bool regression;        /* its scores are the logits themselves, not shares of 1 */
    bool similarity;        /* embeddings can be compared with those of texts: vitcl_model_similarity */
    uint64_t parameters;    /* numbers in the tensors the model uses */
    double flops;           /* of one image */
    const char *assumed;    /* keys that config.json does not have: "a, b", filled as the class (timm: the architecture)
                               has them; "" for none */
    const char *preprocessing; /* what is done to images, in one line, or why it can not be done; lives as long as the
                                  model */
} vitcl_model_info;

/* Of a NULL model, all zero. */
VITCL_API void vitcl_model_get_info(const vitcl_model *model, vitcl_model_info *info);

/* The name of class 0 <= index < C, in UTF-8; NULL outside. Lives as long as the model. */
VITCL_API const char *vitcl_model_label(const vitcl_model *model, size_t index);

/* How the model's logits [C] become scores [C]: softmax; sigmoid for one label or a multi-label model; unchanged for
 * a regression (the rule of the Hugging Face pipeline). In place is allowed. */
VITCL_API void vitcl_model_scores(const vitcl_model *model, const float *logits, float *scores);

/* Compares an image's embedding [E] with those of `count` texts [count,E], of any length: scores are CLIP's softmax or
 * SigLIP's sigmoid of the scaled cosines; not a number for a text of zeros. VITCL_ERROR_UNSUPPORTED where the folder
 * has no logit_scale. */
VITCL_API vitcl_status vitcl_model_similarity(const vitcl_model *model, const float *embedding, const float *texts,
                                              size_t count, float *scores, vitcl_error *error);

/* ---- images ----------------------------------------------------------------------------------------------------- */

/* 8-bit RGB, rows from top to bottom. */
typedef struct vitcl_image {
    const uint8_t *pixels; /* [height,width,3] */
    size_t width, height;
    void *storage; /* what vitcl_image_read allocated; NULL for the caller's own pixels */
} vitcl_image;

/* Decodes a JPEG, PNG or WebP file, told apart by content, to what Pillow's convert("RGB") gives; with `upright` after
 * exif_transpose, which undoes how the camera was held: what transformers does and timm does not. On success the caller
 * frees it with vitcl_image_destroy. Thread-safe. */
VITCL_API vitcl_status vitcl_image_read(vitcl_image *image, const char *path, bool upright, vitcl_error *error);
VITCL_API void vitcl_image_destroy(vitcl_image *image);

/* The patches of an image. */
typedef struct vitcl_grid {
    size_t height, width;
} vitcl_grid;

/* Makes an image the model's pixel values [3,H,W], as its preprocessor's file says. Of a model of variable resolution
 * they are its patches [max_patches,3*p*p], with zeros behind the image's, and *grid says how many it has; else grid
 * may be NULL and is set to 0 x 0. Thread-safe. */
VITCL_API vitcl_status vitcl_model_preprocess(const vitcl_model *model, const vitcl_image *image, float *pixel_values,
                                              vitcl_grid *grid, vitcl_error *error);

/* ---- sessions --------------------------------------------------------------------------------------------------- */

typedef struct vitcl_session vitcl_session;

/* What a session keeps readable: a set of these. */
typedef enum vitcl_output {
    VITCL_OUTPUT_LOGITS = 1,    /* [B,C] */
    VITCL_OUTPUT_EMBEDDING = 2, /* [B,E]: the vector the classifier reads, else image_embeds or pooler_output */
    VITCL_OUTPUT_HIDDEN = 4     /* [B,T,D]: last_hidden_state; as in the library also behind an image's last patch, in a
                                   model of variable resolution */
} vitcl_output;

/* How numbers are stored that a matmul multiplies: weights, and the activations that feed it. All that sums is float:
 * products, softmax, LayerNorm, the residual stream, and every output. */
typedef enum vitcl_precision {
    VITCL_PRECISION_F32,
    VITCL_PRECISION_BF16, /* half of the memory for weights; faster where the device multiplies bf16 */
    VITCL_PRECISION_F16 /* the same memory, and eight times as exact, but nothing is larger than 65504. A weight that is
                           larger fails vitcl_session_create; an activation that is larger, where an output depends on
                           it, fails the run. Both give VITCL_ERROR_OVERFLOW, never a wrong answer. Below 6e-5 numbers
                           lose digits, below 3e-8 they become 0 */
} vitcl_precision;

#define VITCL_MAX_BATCH 65536

typedef struct vitcl_session_params {
    size_t batch_size; /* the most images one run takes, up to VITCL_MAX_BATCH; 0: 1. On a device that is no CPU a run
                          may go over them in several passes, so that none of its launches takes long */
    unsigned outputs; /* vitcl_output, or-ed; 0: logits where the model has a classifier, else embedding, else hidden */
    const char *variants; /* "matmul=portable,attention=portable": how each operation runs; NULL: VITCL_VARIANT.
                             Without a context there is nothing to choose, and this is not read */
    vitcl_precision precision;
} vitcl_session_params;

/* Plans the model for this device, compiles its kernels, uploads its weights. With context NULL the session runs the
 * plain-C reference on the host: slow, exact, without OpenCL. One thread at a time. */
VITCL_API vitcl_status vitcl_session_create(vitcl_session **session, vitcl_context *context, const vitcl_model *model,
                                            const vitcl_session_params *params, vitcl_error *error);
VITCL_API void vitcl_session_destroy(vitcl_session **session);

/* Where one run writes; the caller's memory, NULL for what is not wanted. An output that the session does not keep is
 * VITCL_ERROR_ARGUMENT. */
typedef struct vitcl_results {
    float *logits;    /* [count,C] */
    float *embedding; /* [count,E] */
    float *hidden;    /* [count,T,D] */
} vitcl_results;

/* Runs 1 <= count <= batch_size images. A message about an image begins with "image N". Neither this nor run_pixels and
 * verify may be called while submitted runs are in flight. In f16 VITCL_ERROR_OVERFLOW, also from run_pixels and wait,
 * says that an output is not finite: nothing was written, and the session can go on, though the same images overflow
 * again. */
VITCL_API vitcl_status vitcl_session_run(vitcl_session *session, const vitcl_image *images, size_t count,
                                         const vitcl_results *results, vitcl_error *error);

/* The same for ready pixel values [count,3,H,W]. A model of variable resolution takes patches [count,max_patches,3*p*p]
 * and the grid of each image [count]; for others grids is not read and may be NULL. */
VITCL_API vitcl_status vitcl_session_run_pixels(vitcl_session *session, const float *pixel_values,
                                                const vitcl_grid *grids, size_t count, const vitcl_results *results,
                                                vitcl_error *error);

/* Starts a run of ready pixel values, as in vitcl_session_run_pixels, which are copied, and returns while the device
 * works. Results are fetched by vitcl_session_wait, oldest first. At most VITCL_QUEUE_DEPTH runs may be in flight; one
 * more is VITCL_ERROR_ARGUMENT. */
#define VITCL_QUEUE_DEPTH 2
VITCL_API vitcl_status vitcl_session_submit(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                            size_t count, vitcl_error *error);

/* Waits for the oldest submitted run and writes its results, count rows of each. */
VITCL_API vitcl_status vitcl_session_wait(vitcl_session *session, const vitcl_results *results, vitcl_error *error);

/* The plan such a session would run, as text: every step with variant, shapes, FLOPs and bytes, every tensor's place in
 * the arena, totals. Allocates nothing on the device, compiles nothing. The caller frees *text with free(). */
VITCL_API vitcl_status vitcl_plan_describe(vitcl_context *context, const vitcl_model *model,
                                           const vitcl_session_params *params, char **text, vitcl_error *error);

/* How many images such sessions should run at once where only the throughput counts: as many as keep this device busy,
 * of those that take no more than half of the memory which the weights leave. At most params->batch_size; 0: any
 * number. A guess from what the device says of itself: nothing is measured. VITCL_ERROR_MEMORY where not even one image
 * fits. */
VITCL_API vitcl_status vitcl_choose_batch(vitcl_context *context, const vitcl_model *model,
                                          const vitcl_session_params *params, size_t *batch, vitcl_error *error);

/* Writes the kernels that such sessions run on a device without a compiler into a folder, which is made where it is
 * missing: a file for each program, named STEM-HASH.cl; where all can be in one file, kernels-HASH.cl, too; and
 * manifest.json, which lists them. Needs no device. The device's own compiler makes binaries of them, each with its
 * source's name and the ending .clbin, .aocx or .xclbin; vitcl_context_params.kernels names their folder, or that of
 * kernels-HASH. Files of other models in the folder stay. VITCL_ERROR_IO where it can not be written,
 * VITCL_ERROR_FORMAT where its manifest.json is something else. */
VITCL_API vitcl_status vitcl_kernels_write(const vitcl_model *model, const vitcl_session_params *params,
                                           const char *folder, vitcl_error *error);

/* What was found for one kind of step; strings live during the callback. */
typedef struct vitcl_tune_result {
    size_t index, count;         /* this kind of step, and how many there are */
    const char *label;           /* of the first such step: "block 0 attention" */
    const char *variant;         /* what runs it */
    const char *choice;          /* "tile 12, block 15", or "untuned" where nothing was faster by 3 % */
    size_t measured, candidates; /* how many ways to run it were measured, of how many */
    double untuned, tuned;       /* seconds of one run; the same where the choice is "untuned" */
} vitcl_tune_result;
typedef void (*vitcl_tune_fn)(void *user, const vitcl_tune_result *result);

/* Measures in about so many seconds, more than 0, how the steps of such sessions run fastest on this device: only what
 * writes the reference's numbers is timed. The best is kept in the folder of the cache, for each kind of step as soon
 * as it is found, and sessions created later use it. The report is called for each kind, in order; NULL is allowed;
 * kinds that the time does not suffice for stay as they are. VITCL_ERROR_IO where nothing can be kept. Untuned sessions
 * are right for most devices: a gain of a few percent is what to expect. */
VITCL_API vitcl_status vitcl_tune(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                                  double seconds, vitcl_tune_fn report, void *user, vitcl_error *error);

/* One line of a verification; strings live during the callback. */
typedef struct vitcl_verify_step {
    size_t index, count; /* this step, and how many there are */
    const char *label;   /* "block 3 attention" */
    const char *variant; /* what ran on the device */
    double deviation;    /* largest |device - reference| over the step's outputs, as a share of their rms */
    double tolerance;    /* the largest deviation that passes */
    bool passed;         /* false for NaN and infinity, too */
} vitcl_verify_step;
typedef void (*vitcl_verify_fn)(void *user, const vitcl_verify_step *step);

/* Runs pixel values, as in vitcl_session_run_pixels, on the device and through the plain-C reference and compares them
 * after each step. The report is called once per step, in order; NULL is allowed. VITCL_ERROR_MISMATCH names the first
 * step over tolerance; the other steps are still compared. In f16 VITCL_ERROR_OVERFLOW names the first step that writes
 * a number too large, and ends the comparison. */
VITCL_API vitcl_status vitcl_session_verify(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                            size_t count, vitcl_verify_fn report, void *user, vitcl_error *error);

/* ---- speed ------------------------------------------------------------------------------------------------------ */

/* How long runs took, in seconds of one run. */
typedef struct vitcl_timing {
    size_t runs;
    double fastest, lower, median, upper, slowest; /* lower and upper: the quartiles */
} vitcl_timing;

/* Times runs of whole batches of made-up pixel values for `seconds`, three runs at least: upload, forward pass,
 * results. Before that it checks that they are right: one image step by step against the plain-C reference, as
 * vitcl_session_verify, then each image of the batch against itself alone. A wrong result is VITCL_ERROR_MISMATCH, and
 * gets no time. */
VITCL_API vitcl_status vitcl_model_bench(const vitcl_model *model, vitcl_context *context,
                                         const vitcl_session_params *params, double seconds, vitcl_timing *timing,
                                         vitcl_error *error);

/* A kind of step in a profile: what all blocks do alike is one line. Strings live during the callback. */
typedef struct vitcl_profile_line {
    const char *label;   /* "qkv": a block's step without the block's number */
    const char *variant; /* what runs on the device */
    size_t steps;        /* of this kind in a forward pass. All below is of all of them together, in one run: */
    double seconds;      /* in which their kernels run: the median over the runs */
    double flops, bytes; /* what they compute, and move at least */
} vitcl_profile_line;
typedef void (*vitcl_profile_fn)(void *user, const vitcl_profile_line *line);

/* A whole forward pass. */
typedef struct vitcl_profile {
    size_t runs;
    double wall; /* seconds from the beginning of the first kernel to the end of the last: the median */
    double busy; /* seconds of these in which kernels run: the median. Close to the sum of the lines, but medians do not
                    add up */
    double flops; /* of all lines */
} vitcl_profile;

/* Runs pixel values, as in vitcl_session_run_pixels, for about two seconds on a queue that keeps the time of every
 * kernel, and tells where it goes. Of a product by CLBlast, which consists of several kernels, the time between them is
 * told, too. The report is called once per kind of step, in the plan's order, after *total has been filled; NULL is
 * allowed. Not for the reference (context NULL). */
VITCL_API vitcl_status vitcl_session_profile(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                             size_t count, vitcl_profile_fn report, void *user, vitcl_profile *total,
                                             vitcl_error *error);

#ifdef __cplusplus
}
#endif
#endif
