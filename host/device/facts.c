/* facts.c - asks a device what it can do. A question that fails leaves the careful answer. */
#include "device/device_cl.h"

#include <string.h>

void read_facts(cl_device_id id, struct facts *facts)
{
    cl_device_type type = 0;
    cl_bool compiler = CL_FALSE;
    cl_ulong memory = 0, max_alloc = 0, local_memory = 0;
    cl_device_local_mem_type local_type = CL_GLOBAL;
    cl_uint align_bits = 0, vector_width = 0, units = 0, clock = 0;
    size_t group = 1, items[16] = {0}; /* the specification asks for 3 axes at least */

    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof max_alloc, &max_alloc, NULL);
    clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof local_type, &local_type, NULL);
    clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local_memory, &local_memory, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof align_bits, &align_bits, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof clock, &clock, NULL);
    clGetDeviceInfo(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof vector_width, &vector_width, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL) == CL_SUCCESS && items[0] &&
        items[0] < group)
        group = items[0]; /* groups here extend along the first axis */
    *facts = (struct facts){.is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0,
                            .has_compiler = compiler == CL_TRUE,
                            .units = units ? units : 1,
                            .clock_mhz = clock,
                            .max_work_group = group ? group : 1,
                            .local_memory = local_type == CL_LOCAL ? (size_t)local_memory : 0,
                            .vector_width = vector_width,
                            .buffer_align = align_bits > 8 * 64 ? align_bits / 8 : 64,
                            .memory = memory,
                            .max_alloc = max_alloc};
}
