/* options.c - getopt_long over the table of options, and the help text. */
#include "cli/options.h"
#include "cli/precision.h"
#include "vitcl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TOPK         5
#define DEFAULT_TUNE_SECONDS 60

/* Long options without a letter; LONG_MODE + m stands for enum mode m. */
enum {
    LONG_JSON = 256,
    LONG_LOGITS,
    LONG_EMBED,
    LONG_HIDDEN,
    LONG_PIXELS,
    LONG_IMAGE_SIZE,
    LONG_RESIZE,
    LONG_EXIF,
    LONG_PRECISION,
    LONG_LABELS,
    LONG_LABELS_EMBEDDINGS,
    LONG_TUNE_SECONDS,
    LONG_KERNELS_OUT,
    LONG_MODE
};

static const struct option OPTIONS[] = {
    {"model", required_argument, NULL, 'm'},
    {"device", required_argument, NULL, 'd'},
    {"topk", required_argument, NULL, 'k'},
    {"batch-size", required_argument, NULL, 'b'},
    {"recursive", no_argument, NULL, 'r'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"json", no_argument, NULL, LONG_JSON},
    {"logits", required_argument, NULL, LONG_LOGITS},
    {"embed", required_argument, NULL, LONG_EMBED},
    {"hidden", required_argument, NULL, LONG_HIDDEN},
    {"pixels", required_argument, NULL, LONG_PIXELS},
    {"image-size", required_argument, NULL, LONG_IMAGE_SIZE},
    {"resize", required_argument, NULL, LONG_RESIZE},
    {"exif", required_argument, NULL, LONG_EXIF},
    {"precision", required_argument, NULL, LONG_PRECISION},
    {"labels", required_argument, NULL, LONG_LABELS},
    {"labels-embeddings", required_argument, NULL, LONG_LABELS_EMBEDDINGS},
    {"plan", no_argument, NULL, LONG_MODE + MODE_PLAN},
    {"verify", no_argument, NULL, LONG_MODE + MODE_VERIFY},
    {"profile", no_argument, NULL, LONG_MODE + MODE_PROFILE},
    {"bench", no_argument, NULL, LONG_MODE + MODE_BENCH},
    {"tune", no_argument, NULL, LONG_MODE + MODE_TUNE},
    {"tune-seconds", required_argument, NULL, LONG_TUNE_SECONDS},
    {"kernels-out", required_argument, NULL, LONG_KERNELS_OUT},
    {"info", no_argument, NULL, LONG_MODE + MODE_INFO},
    {"list-devices", no_argument, NULL, LONG_MODE + MODE_LIST_DEVICES},
    {NULL, 0, NULL, 0},
};

void options_print_help(void)
{
    puts(
        "usage: vitcl_run -m DIR [options] IMAGE...\n"
        "\n"
        "Runs a Vision Transformer on an OpenCL device and prints the best labels of each image.\n"
        "\n"
        "inputs\n"
        "  IMAGE                 a JPEG, PNG or WebP file; a folder of them; a .npy file of ready pixel values\n"
        "                        (float32 [B,3,H,W] or [3,H,W], as numpy.save writes it); - reads paths from stdin\n"
        "  -r, --recursive       look into folders inside folders, too\n"
        "  -m, --model DIR       a folder with config.json, model.safetensors (or shards) and for Hugging Face models\n"
        "                        preprocessor_config.json, as published (the README shows how to get one); else\n"
        "                        VITCL_MODEL\n"
        "  --image-size N|HxW    pixels to run images at: positions are interpolated as the model's library does;\n"
        "                        not for SigLIP 2 NaFlex, which runs each picture in its own shape\n"
        "  --resize pil|torchvision  whose resize; default: torchvision for Hugging Face models, as transformers 5\n"
        "                        does, pil for timm's\n"
        "  --exif on|off         turn pictures upright as EXIF says; default: on for Hugging Face models, off for "
        "timm's\n"
        "\n"
        "running\n"
        "  -d, --device SEL      which device; else VITCL_DEVICE; else the best GPU, or a CPU. SEL is a number of\n"
        "                        --list-devices, P:D (platform:device), gpu, cpu or accelerator (gpu:1 is the second\n"
        "                        one), pci:BB:DD.F, uuid:HEX, or a part of the device's name\n"
        "  -b, --batch-size N|auto  images per run of the device (1); auto: as many as keep it busy and fit its "
        "memory\n"
        "  --precision f32|bf16|f16  how weights and what is multiplied with them are stored (f32); sums are float\n"
        "                        always. What is too large for f16 is run again in f32\n"
        "\n"
        "results\n"
        "  -k, --topk N          labels per image (5)\n"
        "  --labels FILE.txt     names of the classes, one a line\n"
        "  --labels-embeddings FILE.npy  CLIP, SigLIP: embeddings of texts, float32 [C,E]; images are scored against\n"
        "                        them (the README shows how to make the file); --labels names them\n"
        "  --json                one JSON array instead of text\n"
        "  --logits FILE.npy     write the logits, float32 [images,classes]\n"
        "  --embed FILE.npy      write the embeddings: the vector the classifier reads, else image_embeds, "
        "pooler_output\n"
        "  --hidden FILE.npy     write last_hidden_state, float32 [images,tokens,width]\n"
        "  --pixels FILE.npy     write what the model was fed, float32 [images,3,height,width]; of SigLIP 2 NaFlex\n"
        "                        its patches\n"
        "  -q, --quiet           only results and errors\n"
        "\n"
        "instead of running\n"
        "  --list-devices        the OpenCL devices, and what selects each\n"
        "  --info                what the model folder holds\n"
        "  --plan                every step of the forward pass, with shapes, FLOPs and memory\n"
        "  --verify              run the images on the device and in plain C, compare every step\n"
        "  --profile             run the images for two seconds, tell which steps the time goes to; also as --json\n"
        "  --bench               time the model on made-up images of this batch size, checked first; also as --json\n"
        "  --tune                measure what runs this model fastest on this device, with the -b and --precision "
        "given,\n"
        "                        and keep it for later runs\n"
        "  --tune-seconds N      about how long that may take (60)\n"
        "  --kernels-out DIR     write the kernels of this model for a device without a compiler, an FPGA; its own\n"
        "                        compiler makes binaries of them, and VITCL_KERNELS=DIR runs these (see the README)\n"
        "  -h, --help            this text\n"
        "  -V, --version         the version\n"
        "\n"
        "VITCL_VARIANT=matmul=portable (a comma list) chooses how an operation runs; --plan shows what was chosen.\n"
        "Exit status: 0 done, 1 something failed, 2 wrong usage.");
}

static int usage(const char *format, const char *what)
{
    fputs("vitcl_run: ", stderr);
    fprintf(stderr, format, what);
    fputs("\nTry: vitcl_run --help\n", stderr);
    return EXIT_USAGE;
}

/* A whole number from 1 to `high`; 0 for anything else. */
static size_t parse_count(const char *text, unsigned long high)
{
    char *end;
    unsigned long number;
    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && number <= high ? number : 0;
}

/* "224" or "HxW". */
static int parse_image_size(struct options *o, const char *text)
{
    const char *x = strchr(text, 'x');
    char height[8] = "";
    if (x && (size_t)(x - text) < sizeof height)
        memcpy(height, text, (size_t)(x - text));
    o->image_height = parse_count(x ? height : text, 65536);
    o->image_width = parse_count(x ? x + 1 : text, 65536);
    return o->image_height && o->image_width
               ? 0
               : usage("--image-size: expected N or HxW, pixels from 1 to 65536, found \"%s\"", text);
}

static int parse_resize(struct options *o, const char *text)
{
    o->resize = strcmp(text, "pil") == 0 ? VITCL_RESIZE_PIL : VITCL_RESIZE_TORCHVISION;
    return o->resize == VITCL_RESIZE_PIL || strcmp(text, "torchvision") == 0
               ? 0
               : usage("--resize: expected pil or torchvision, found \"%s\"", text);
}

static int parse_exif(struct options *o, const char *text)
{
    o->exif = strcmp(text, "on") == 0 ? EXIF_ON : EXIF_OFF;
    return o->exif == EXIF_ON || strcmp(text, "off") == 0 ? 0 : usage("--exif: expected on or off, found \"%s\"", text);
}

static int parse_precision(struct options *o, const char *text)
{
    return precision_from_text(&o->precision, text)
               ? 0
               : usage("--precision: expected f32, bf16 or f16, found \"%s\"", text);
}

/* Where an option's text goes as it is; NULL for other options. */
static const char **text_of(struct options *o, int option)
{
    switch (option) {
    case 'm':
        return &o->model;
    case 'd':
        return &o->device;
    case LONG_LOGITS:
        return &o->logits;
    case LONG_EMBED:
        return &o->embedding;
    case LONG_HIDDEN:
        return &o->hidden;
    case LONG_PIXELS:
        return &o->pixels;
    case LONG_LABELS:
        return &o->labels;
    case LONG_LABELS_EMBEDDINGS:
        return &o->labels_embeddings;
    case LONG_KERNELS_OUT:
        return &o->kernels_out;
    default:
        return NULL;
    }
}

static int apply(struct options *o, int option)
{
    const char **text = text_of(o, option);
    if (text) {
        *text = optarg;
        if (option == LONG_KERNELS_OUT)
            o->mode = MODE_KERNELS;
        return 0;
    }
    if (option >= LONG_MODE) {
        o->mode = (enum mode)(option - LONG_MODE);
        return 0;
    }
    switch (option) {
    case 'k':
        o->topk = parse_count(optarg, 1000000);
        return o->topk ? 0 : usage("--topk: expected a number from 1 to 1000000, found \"%s\"", optarg);
    case 'b':
        o->batch_size = strcmp(optarg, "auto") == 0 ? BATCH_AUTO : parse_count(optarg, VITCL_MAX_BATCH);
        return o->batch_size ? 0
                             : usage("--batch-size: expected a number from 1 to 65536, or auto, found \"%s\"", optarg);
    case 'r':
        o->recursive = true;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case 'h':
        o->mode = MODE_HELP;
        return 0;
    case 'V':
        o->mode = MODE_VERSION;
        return 0;
    case LONG_JSON:
        o->json = true;
        return 0;
    case LONG_IMAGE_SIZE:
        return parse_image_size(o, optarg);
    case LONG_RESIZE:
        return parse_resize(o, optarg);
    case LONG_EXIF:
        return parse_exif(o, optarg);
    case LONG_TUNE_SECONDS:
        o->tune_seconds = parse_count(optarg, 86400);
        return o->tune_seconds ? 0 : usage("--tune-seconds: expected a number from 1 to 86400, found \"%s\"", optarg);
    case LONG_PRECISION:
        return parse_precision(o, optarg);
    default: /* getopt_long has said what is wrong */
        fputs("Try: vitcl_run --help\n", stderr);
        return EXIT_USAGE;
    }
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Rules between the options. */
static int check(const struct options *o)
{
    const char *const files[] = {o->logits, o->embedding, o->hidden, o->pixels};
    bool looks = o->mode == MODE_VERIFY || o->mode == MODE_PROFILE; /* into the batches, answering nothing */
    bool takes_inputs = o->mode == MODE_RUN || looks;
    if (o->mode == MODE_LIST_DEVICES)
        return 0;
    if (!o->model)
        return usage("%s", "no model: name its folder by -m DIR (or VITCL_MODEL)");
    if (takes_inputs && o->input_count == 0)
        return usage("%s", "no input: name an image, a folder, a .npy file, or - for paths on stdin");
    for (size_t i = 0; i < 4; i++)
        if (same(files[i], ""))
            return usage("%s", "an output file has no name");
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < i; k++)
            if (same(files[i], files[k]))
                return usage("two outputs have the same file: %s", files[i]);
    if ((looks || o->mode == MODE_BENCH) && (o->logits || o->embedding || o->hidden))
        return usage("%s", "--verify, --profile and --bench answer nothing: leave out --logits, --embed and --hidden");
    if (o->mode == MODE_BENCH && (o->input_count > 0 || o->pixels))
        return usage("%s", "--bench makes up its images: leave out images and --pixels");
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    int option;
    const char *model = getenv("VITCL_MODEL");

    *options = (struct options){.topk = DEFAULT_TOPK,
                                .tune_seconds = DEFAULT_TUNE_SECONDS,
                                .batch_size = 1,
                                .model = model && *model ? model : NULL};
    while ((option = getopt_long(argc, argv, "m:d:k:b:rqhV", OPTIONS, NULL)) != -1) {
        int code = apply(options, option);
        if (code || options->mode == MODE_HELP || options->mode == MODE_VERSION)
            return code;
    }
    options->inputs = argv + optind;
    options->input_count = (size_t)(argc - optind);
    return check(options);
}
