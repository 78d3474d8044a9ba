/* safetensors_header.c - checks the header of a mapped .safetensors file and lists its tensors. Reads no tensor data.
 *
 * The rules and their order are those of the format's reference implementation: header length, JSON, then the tensors
 * in the order of their data. What the header says of a tensor stays a claim until every claim is checked against all
 * others and against the file; only then it becomes an entry with a pointer. Two rules, UTF-8 and JSON syntax, are
 * checked by jansson in one pass, so that the first fault in the header is the one that is reported.
 */
#include "base/json.h"
#include "base/size.h"
#include "model/safetensors_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES      8 /* of the header length at the start of the file */
#define MAX_HEADER_BYTES  100000000
#define MAX_HEADER_LEVELS 128 /* of nested arrays and objects */
#define METADATA_KEY      "__metadata__"

struct dtype_row {
    const char *name;
    size_t bits; /* of one element */
    enum dtype dtype;
};

/* What the header says of one tensor. */
struct claim {
    const char *name;
    const json_t *info; /* the object with dtype, shape and data_offsets */
    const json_t *shape;
    const struct dtype_row *dtype;
    size_t begin, end; /* bytes from the start of the data */
};

static const struct dtype_row *find_dtype(const char *name)
{
    static const struct dtype_row rows[] = {
        {"F32", 32, DTYPE_F32},          {"F16", 16, DTYPE_F16},      {"BF16", 16, DTYPE_BF16},
        {"F64", 64, DTYPE_OTHER},        {"C64", 64, DTYPE_OTHER},    {"I64", 64, DTYPE_OTHER},
        {"U64", 64, DTYPE_OTHER},        {"I32", 32, DTYPE_OTHER},    {"U32", 32, DTYPE_OTHER},
        {"I16", 16, DTYPE_OTHER},        {"U16", 16, DTYPE_OTHER},    {"BOOL", 8, DTYPE_OTHER},
        {"U8", 8, DTYPE_OTHER},          {"I8", 8, DTYPE_OTHER},      {"F8_E5M2", 8, DTYPE_OTHER},
        {"F8_E4M3", 8, DTYPE_OTHER},     {"F8_E8M0", 8, DTYPE_OTHER}, {"F8_E4M3FNUZ", 8, DTYPE_OTHER},
        {"F8_E5M2FNUZ", 8, DTYPE_OTHER}, {"F6_E2M3", 6, DTYPE_OTHER}, {"F6_E3M2", 6, DTYPE_OTHER},
        {"F4", 4, DTYPE_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* ---- the header as text ------------------------------------------------------------------------------------------ */

static vitcl_status read_header_length(const struct mapped_file *file, size_t *length, vitcl_error *err)
{
    uint64_t claimed = 0;
    if (file->size < LENGTH_BYTES)
        return fail(err, VITCL_ERROR_FORMAT,
                    "header too small: the file has %zu bytes, expected at least %d; download it again", file->size,
                    LENGTH_BYTES);
    for (int i = LENGTH_BYTES; i-- > 0;)
        claimed = claimed << 8 | file->data[i];
    if (file->size > 16 && memcmp(file->data, "version https://", 16) == 0)
        return fail(err, VITCL_ERROR_FORMAT, "this is Git LFS's pointer to the weights, not the weights: git lfs pull");
    if (claimed > MAX_HEADER_BYTES)
        return fail(err, VITCL_ERROR_FORMAT,
                    "header too large: %" PRIu64 " bytes, expected at most %d; is this a .safetensors file?", claimed,
                    MAX_HEADER_BYTES);
    if (claimed > file->size - LENGTH_BYTES)
        return fail(err, VITCL_ERROR_FORMAT,
                    "invalid header length: %" PRIu64 " bytes, but only %zu follow in the file; download it again",
                    claimed, file->size - LENGTH_BYTES);
    *length = (size_t)claimed;
    return VITCL_OK;
}

static bool nested_within(json_t *value, int levels)
{
    const char *key;
    size_t index;
    json_t *item;
    if (levels == 0)
        return !json_is_object(value) && !json_is_array(value);
    json_object_foreach(value, key, item) {
        if (!nested_within(item, levels - 1))
            return false;
    }
    json_array_foreach(value, index, item) {
        if (!nested_within(item, levels - 1))
            return false;
    }
    return true;
}

/* The caller owns *header, an object or NULL, also where it is refused. */
static vitcl_status parse_header(json_t **header, const unsigned char *text, size_t length, vitcl_error *err)
{
    vitcl_status status;
    status = json_parse(header, (const char *)text, length, "header", err);
    if (status != VITCL_OK)
        return status;
    if (!nested_within(*header, MAX_HEADER_LEVELS))
        return fail(err, VITCL_ERROR_FORMAT, "header: not valid JSON: nested deeper than %d levels", MAX_HEADER_LEVELS);
    return VITCL_OK;
}

/* ---- the header's values ----------------------------------------------------------------------------------------- */

static bool read_size(const json_t *value, size_t *size)
{
    json_int_t number = json_integer_value(value);
    *size = (size_t)number;
    return json_is_integer(value) && number >= 0 && (uintmax_t)number <= SIZE_MAX;
}

static bool is_shape(const json_t *shape)
{
    size_t index, size;
    json_t *item;
    json_array_foreach(shape, index, item) {
        if (!read_size(item, &size))
            return false;
    }
    return json_is_array(shape);
}

static bool is_metadata(json_t *metadata)
{
    const char *key;
    json_t *item;
    json_object_foreach(metadata, key, item) {
        if (!json_is_string(item))
            return false;
    }
    return !metadata || json_is_object(metadata) || json_is_null(metadata);
}

static vitcl_status read_claim(struct claim *claim, const char *name, const json_t *info, vitcl_error *err)
{
    struct json_at at = {.object = info, .file = "header"};
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    const json_t *offsets = json_object_get(info, "data_offsets");

    claim->name = name;
    claim->info = info;
    claim->shape = json_object_get(info, "shape");
    claim->dtype = dtype ? find_dtype(dtype) : NULL;
    if (!json_is_object(info))
        return fail(err, VITCL_ERROR_FORMAT, "header: expected an object with dtype, shape and data_offsets");
    if (!claim->dtype)
        return json_unexpected(at, "dtype", "a dtype of the format, such as \"F32\"", err);
    if (!is_shape(claim->shape))
        return json_unexpected(at, "shape", "an array of integers from 0", err);
    if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &claim->begin) ||
        !read_size(json_array_get(offsets, 1), &claim->end))
        return json_unexpected(at, "data_offsets", "two integers from 0, [begin,end]", err);
    return VITCL_OK;
}

/* Fills claims [count], which has room for every member of the header. */
static vitcl_status read_claims(struct claim *claims, size_t *count, json_t *header, vitcl_error *err)
{
    struct json_at at = {.object = header, .file = "header"};
    const char *name;
    json_t *info;

    *count = 0;
    json_object_foreach(header, name, info) {
        vitcl_status status;
        if (strcmp(name, METADATA_KEY) == 0)
            continue;
        status = read_claim(&claims[(*count)++], name, info, err);
        if (status != VITCL_OK)
            return fail_context(err, status, "tensor '%.200s'", name);
    }
    if (!is_metadata(json_object_get(header, METADATA_KEY)))
        return json_unexpected(at, METADATA_KEY, "an object of strings, or null", err);
    return VITCL_OK;
}

/* ---- the rules over all tensors ---------------------------------------------------------------------------------- */

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_places(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    int order = compare_sizes(a->begin, b->begin);
    return order != 0 ? order : compare_sizes(a->end, b->end);
}

/* Multiplies from the first axis on, as the reference does: a zero saves only the axes after it. */
static bool count_bits(const struct claim *claim, size_t *elements, size_t *bits)
{
    size_t index, size;
    json_t *item;
    *elements = 1;
    json_array_foreach(claim->shape, index, item) {
        if (!read_size(item, &size) || !size_mul(*elements, size, elements))
            return false;
    }
    return size_mul(*elements, claim->dtype->bits, bits);
}

static vitcl_status check_claim(const struct claim *claim, size_t expected_begin, vitcl_error *err)
{
    size_t elements, bits;
    if (claim->begin != expected_begin || claim->end < claim->begin)
        return fail(err, VITCL_ERROR_FORMAT,
                    "invalid offset: data_offsets are [%zu,%zu], expected to begin at %zu, where the data before it "
                    "ends, and to end no earlier; the file is damaged",
                    claim->begin, claim->end, expected_begin);
    if (!count_bits(claim, &elements, &bits))
        return json_unexpected((struct json_at){.object = claim->info, .file = "overflow"}, "shape",
                               "a size that can be counted in bits", err);
    if (bits % 8 != 0)
        return fail(err, VITCL_ERROR_FORMAT,
                    "misaligned slice: %zu elements of %s are %zu bits, expected a whole number of bytes", elements,
                    claim->dtype->name, bits);
    if (claim->end - claim->begin != bits / 8)
        return fail(err, VITCL_ERROR_FORMAT,
                    "invalid info: %zu elements of %s take %zu bytes, but data_offsets [%zu,%zu] hold %zu", elements,
                    claim->dtype->name, bits / 8, claim->begin, claim->end, claim->end - claim->begin);
    return VITCL_OK;
}

/* Sorts the claims by place and checks that they fill the data without hole, overlap or rest. */
static vitcl_status check_claims(struct claim *claims, size_t count, size_t data_bytes, vitcl_error *err)
{
    size_t end = 0;
    qsort(claims, count, sizeof *claims, compare_places);
    for (size_t i = 0; i < count; i++) {
        vitcl_status status = check_claim(&claims[i], end, err);
        if (status != VITCL_OK)
            return fail_context(err, status, "tensor '%.200s'", claims[i].name);
        end = claims[i].end;
    }
    if (end != data_bytes)
        return fail(err, VITCL_ERROR_FORMAT,
                    "incomplete buffer: the tensors end at byte %zu of the data, but the file has %zu bytes of data; "
                    "download it again",
                    end, data_bytes);
    return VITCL_OK;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void fill_entry(struct tensor_entry *entry, const struct claim *claim, const unsigned char *data)
{
    entry->name = claim->name;
    entry->dtype = claim->dtype->dtype;
    entry->dtype_name = claim->dtype->name;
    entry->rank = json_array_size(claim->shape);
    for (size_t i = 0; i < size_min(entry->rank, TENSOR_MAX_RANK); i++)
        read_size(json_array_get(claim->shape, i), &entry->shape[i]);
    entry->data = data + claim->begin;
    entry->bytes = claim->end - claim->begin;
    entry->mapped = true;
}

static vitcl_status build_entries(struct tensor_entry **entries, const struct claim *claims, size_t count,
                                  const unsigned char *data, vitcl_error *err)
{
    /* One more than needed: an empty table is no failed allocation. */
    *entries = calloc(count + 1, sizeof **entries);
    if (!*entries)
        return fail_memory(err, (count + 1) * sizeof **entries);
    for (size_t i = 0; i < count; i++)
        fill_entry(&(*entries)[i], &claims[i], data);
    return VITCL_OK;
}

vitcl_status safetensors_read_header(const struct mapped_file *file, json_t **header, struct tensor_entry **entries,
                                     size_t *count, vitcl_error *err)
{
    vitcl_status status;
    struct claim *claims = NULL;
    size_t length = 0, room;
    const unsigned char *text = file->data + LENGTH_BYTES;

    *header = NULL;
    *entries = NULL;
    TRY(read_header_length(file, &length, err));
    TRY(parse_header(header, text, length, err));
    room = json_object_size(*header) + 1; /* at least 1, for the same reason as in build_entries */
    claims = calloc(room, sizeof *claims);
    if (!claims)
        TRY(fail_memory(err, room * sizeof *claims));
    TRY(read_claims(claims, count, *header, err));
    TRY(check_claims(claims, *count, file->size - LENGTH_BYTES - length, err));
    TRY(build_entries(entries, claims, *count, text + length, err));
done:
    free(claims);
    if (status != VITCL_OK) {
        json_decref(*header);
        *header = NULL;
        *count = 0;
    }
    return status;
}
