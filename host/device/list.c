/* list.c - every device of every platform. A platform without devices, or one whose driver fails, is passed over. */
#include "base/text.h"
#include "device/device_cl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cl_khr_device_uuid and cl_khr_pci_bus_info; older headers lack them. */
#define DEVICE_UUID_KHR         0x106A
#define DEVICE_PCI_BUS_INFO_KHR 0x410F

struct pci_bus_info {
    cl_uint domain, bus, device, function;
};

static void read_text(cl_device_id id, cl_device_info what, char *text, size_t size)
{
    char buffer[1024] = "";
    const char *start = buffer;
    size_t length;
    if (clGetDeviceInfo(id, what, sizeof buffer - 1, buffer, NULL) != CL_SUCCESS)
        buffer[0] = '\0';
    start += strspn(start, " ");
    length = strlen(start);
    while (length > 0 && start[length - 1] == ' ')
        length--;
    snprintf(text, size, "%.*s", (int)length, start);
}

static unsigned kinds_of(cl_device_type type)
{
    return (type & CL_DEVICE_TYPE_CPU ? KIND_CPU : 0) | (type & CL_DEVICE_TYPE_GPU ? KIND_GPU : 0) |
           (type & CL_DEVICE_TYPE_ACCELERATOR ? KIND_ACCELERATOR : 0) |
           (type & CL_DEVICE_TYPE_CUSTOM ? KIND_CUSTOM : 0);
}

static const char *kind_text(unsigned kinds)
{
    if (kinds & (kinds - 1))
        return "simulator";
    return kinds == KIND_GPU ? "GPU" : kinds == KIND_CPU ? "CPU" : kinds == KIND_ACCELERATOR ? "accelerator" : "custom";
}

/* Addresses that do not depend on the order of the list; "" where the driver does not tell. */
static void read_addresses(cl_device_id id, struct candidate *c)
{
    struct pci_bus_info pci;
    unsigned char uuid[16];
    if (clGetDeviceInfo(id, DEVICE_PCI_BUS_INFO_KHR, sizeof pci, &pci, NULL) == CL_SUCCESS)
        snprintf(c->pci, sizeof c->pci, "%02x:%02x.%x", pci.bus & 0xff, pci.device & 0xff, pci.function & 0xf);
    if (clGetDeviceInfo(id, DEVICE_UUID_KHR, sizeof uuid, uuid, NULL) == CL_SUCCESS)
        for (size_t i = 0; i < sizeof uuid; i++)
            snprintf(c->uuid + 2 * i, 3, "%02x", uuid[i]);
}

/* Whether the device's compiler turns a kernel into something that can be made. */
static bool compiles(cl_device_id id)
{
    const char *source = "__kernel void probe(__global float *x) { x[get_global_id(0)] *= 2.0f; }";
    cl_int code;
    cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, &code);
    cl_program program = context ? clCreateProgramWithSource(context, 1, &source, NULL, &code) : NULL;
    cl_kernel kernel = NULL;
    if (program && clBuildProgram(program, 1, &id, "-cl-std=CL1.2", NULL, NULL) == CL_SUCCESS)
        kernel = clCreateKernel(program, "probe", &code);
    if (kernel)
        clReleaseKernel(kernel);
    if (program)
        clReleaseProgram(program);
    if (context)
        clReleaseContext(context);
    return kernel != NULL;
}

static void read_candidate(cl_device_id id, struct candidate *c)
{
    cl_device_type type = 0;
    cl_bool available = CL_FALSE;
    cl_uint units = 0, clock = 0, width = 0;
    struct facts facts;

    read_facts(id, &facts);
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof clock, &clock, NULL);
    clGetDeviceInfo(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof width, &width, NULL);
    read_text(id, CL_DEVICE_VENDOR, c->info.vendor, sizeof c->info.vendor);
    read_text(id, CL_DEVICE_NAME, c->info.name, sizeof c->info.name);
    read_text(id, CL_DEVICE_VERSION, c->info.version, sizeof c->info.version);
    read_text(id, CL_DRIVER_VERSION, c->info.driver, sizeof c->info.driver);
    read_addresses(id, c);
    c->kinds = kinds_of(type);
    c->clock = clock;
    c->vector_width = width;
    c->info.kind = kind_text(c->kinds);
    c->info.units = units;
    c->info.memory = facts.memory;
    c->info.max_alloc = facts.max_alloc;
    c->info.available = available == CL_TRUE;
    c->info.compiler_works = facts.has_compiler;
}

/* ---- the list ---- */

struct growing {
    struct candidate *list;
    cl_device_id *ids;
    size_t count;
};

static vitcl_status add_platform(struct growing *all, cl_platform_id platform, unsigned number, vitcl_error *err)
{
    cl_uint count = 0;
    struct candidate *list;
    cl_device_id *ids;
    char name[128] = "";

    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS || count == 0)
        return VITCL_OK;
    list = realloc(all->list, (all->count + count) * sizeof *list);
    if (list)
        all->list = list;
    ids = realloc(all->ids, (all->count + count) * sizeof *ids);
    if (ids)
        all->ids = ids;
    if (!list || !ids)
        return fail_memory(err, (all->count + count) * sizeof *list);
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, ids + all->count, NULL) != CL_SUCCESS)
        return VITCL_OK;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
    for (unsigned d = 0; d < count; d++) {
        struct candidate *c = &list[all->count];
        *c = (struct candidate){.platform = number, .index = d};
        snprintf(c->info.platform, sizeof c->info.platform, "%s", name);
        read_candidate(ids[all->count], c);
        all->count++;
    }
    return VITCL_OK;
}

/* "Clover: CL_DEVICE_NOT_FOUND; ...": what each platform answers. */
static void add_answers(struct text *text, const cl_platform_id *platforms, cl_uint count)
{
    for (cl_uint p = 0; p < count; p++) {
        char name[128] = "";
        cl_uint devices = 0;
        cl_int code = clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 0, NULL, &devices);
        clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
        text_add(text, "%s%s answers %s", p ? "; " : "", name, cl_name(code));
    }
}

static vitcl_status fail_no_device(const cl_platform_id *platforms, cl_uint count, vitcl_error *err)
{
    const char *vendors = getenv("OCL_ICD_VENDORS");
    struct text answers = {0};
    vitcl_status status;

    if (count) {
        text_add(&answers, "the platforms installed offer none (");
        add_answers(&answers, platforms, count);
        text_add(&answers, "). A driver may need a device file, or a writable HOME");
    }
    status = fail(err, VITCL_ERROR_DEVICE,
                  "no OpenCL device: %s.\n"
                  "The OpenCL loader looks for drivers (*.icd files) in %s%s.\n"
                  "Install the driver of your device, for example on Debian or Ubuntu:\n"
                  "  any CPU:     apt-get install pocl-opencl-icd\n"
                  "  NVIDIA GPU:  apt-get install nvidia-opencl-icd, from non-free (in a container: echo "
                  "libnvidia-opencl.so.1 > /etc/OpenCL/vendors/nvidia.icd)\n"
                  "  AMD GPU:     ROCm from AMD's repository, or apt-get install mesa-opencl-icd and set "
                  "RUSTICL_ENABLE=radeonsi\n"
                  "  Intel GPU:   apt-get install intel-opencl-icd\n"
                  "and make sure that you may use the device (groups video and render)",
                  answers.chars ? answers.chars : "no platform is installed", vendors ? vendors : "/etc/OpenCL/vendors",
                  vendors ? " (from OCL_ICD_VENDORS)" : "");
    if (err)
        err->cl_code = count ? CL_DEVICE_NOT_FOUND : -1001;
    text_free(&answers);
    return status;
}

vitcl_status list_candidates(struct candidate **list, cl_device_id **ids, size_t *count, bool probe, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct growing all = {0};
    cl_uint platform_count = 0;
    cl_platform_id *platforms = NULL;

    *list = NULL;
    *ids = NULL;
    *count = 0;
    /* Without a platform this is -1001; whatever the code, there is no device then. */
    if (clGetPlatformIDs(0, NULL, &platform_count) != CL_SUCCESS || platform_count == 0)
        return fail_no_device(NULL, 0, err);
    platforms = calloc(platform_count, sizeof(cl_platform_id));
    if (!platforms)
        return fail_memory(err, platform_count * sizeof *platforms);
    if (clGetPlatformIDs(platform_count, platforms, NULL) != CL_SUCCESS)
        TRY(fail_no_device(NULL, 0, err));
    for (cl_uint p = 0; p < platform_count; p++)
        TRY(add_platform(&all, platforms[p], p, err));
    if (all.count == 0)
        TRY(fail_no_device(platforms, platform_count, err));
    candidates_finish(all.list, all.count); /* before the probe: a run selects without one */
    for (size_t i = 0; probe && i < all.count; i++)
        all.list[i].info.compiler_works = all.list[i].info.compiler_works && compiles(all.ids[i]);
    *list = all.list;
    *ids = all.ids;
    *count = all.count;
done:
    free(platforms);
    if (status != VITCL_OK) {
        free(all.list);
        free(all.ids);
    }
    return status;
}

vitcl_status device_list(vitcl_device_info **list, size_t *count, vitcl_error *err)
{
    struct candidate *candidates;
    cl_device_id *ids;
    vitcl_status status = list_candidates(&candidates, &ids, count, true, err);
    *list = NULL;
    if (status != VITCL_OK)
        return status;
    *list = calloc(*count, sizeof **list);
    for (size_t i = 0; *list && i < *count; i++)
        (*list)[i] = candidates[i].info;
    free(candidates);
    free(ids);
    return *list ? VITCL_OK : fail_memory(err, *count * sizeof **list);
}
