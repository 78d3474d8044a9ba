/* oclgrind_freeze.cl - Oclgrind 21.10, checking for uninitialised values, stops at what its own optimiser makes of a
 * quotient and a remainder: "FATAL ERROR (Uninitialized.cpp:1805) Unsupported instruction: freeze". With
 *
 *     printf 'tests/portability/defects/oclgrind_freeze.cl\nk\n4 1 1\n4 1 1\n<size=16 int fill=0>\n<size=4 int>\n3\n' > /tmp/k.sim
 *     oclgrind-kernel --uninitialized /tmp/k.sim
 *
 * tests/portability/run has it compile without optimisation (-cl-opt-disable).
 */
__kernel void k(__global int *x, int n)
{
    const int i = get_global_id(0);
    x[i] = i / n + i % n;
}
