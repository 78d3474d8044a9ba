/* oclgrind_written.c - Oclgrind 21.10, --uninitialized, calls numbers uninitialised that the host has written.
 *
 *     cc tests/portability/defects/oclgrind_written.c -lOpenCL -o /tmp/written
 *     oclgrind --uninitialized --build-options -cl-opt-disable /tmp/written
 *
 * The host writes a sub-buffer, and a kernel copies it: nothing is uninitialised. With PART = 64, or with the write and
 * the kernel's argument on the whole buffer, Oclgrind agrees.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <stdio.h>
#include <stdlib.h>

enum { WHOLE = 1 << 18, PART = 3 * 32 * 32, AT = 4096 };

int main(void)
{
    const char *source = "__kernel void copy(__global const float *x, __global float *y)"
                         "{ y[get_global_id(0)] = x[get_global_id(0)]; }";
    const size_t items = PART;
    float *values = calloc(PART, sizeof *values);
    cl_buffer_region region = {AT, PART * sizeof *values};
    cl_platform_id platform;
    cl_device_id device;
    clGetPlatformIDs(1, &platform, NULL);
    clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL);
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_mem whole = clCreateBuffer(context, 0, WHOLE, NULL, NULL);
    cl_mem to = clCreateBuffer(context, 0, PART * sizeof *values, NULL, NULL);
    cl_mem part = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, NULL);
    clBuildProgram(program, 1, &device, "", NULL, NULL);
    cl_kernel kernel = clCreateKernel(program, "copy", NULL);
    clEnqueueWriteBuffer(queue, part, CL_TRUE, 0, PART * sizeof *values, values, 0, NULL, NULL);
    clSetKernelArg(kernel, 0, sizeof part, &part);
    clSetKernelArg(kernel, 1, sizeof to, &to);
    clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL);
    clFinish(queue);
    free(values);
    return 0;
}
