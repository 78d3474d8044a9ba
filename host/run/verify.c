/* verify.c - the comparison behind --verify. Each executor goes on with its own numbers, so the deviation of a step
 * includes what earlier steps have added up: the first step that jumps is the one to look at. */
#include "run/verify.h"
#include "base/size.h"
#include "run/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool all_finite(const float *values, size_t count)
{
    bool finite = true;
    for (size_t i = 0; i < count; i++)
        finite &= isfinite(values[i]) != 0;
    return finite;
}

double deviation_of(const float *a, const float *b, size_t count)
{
    double largest = 0, squares = 0, rms;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return INFINITY;
        largest = difference > largest ? difference : largest;
        squares += (double)b[i] * (double)b[i];
    }
    rms = sqrt(squares / (double)(count ? count : 1));
    return largest == 0 ? 0 : rms > 0 ? largest / rms : INFINITY;
}

double verify_tolerance(const struct plan *plan)
{
    static const double TOLERANCES[] = {[VITCL_PRECISION_F32] = VERIFY_TOLERANCE,
                                        [VITCL_PRECISION_BF16] = VERIFY_TOLERANCE_BF16,
                                        [VITCL_PRECISION_F16] = VERIFY_TOLERANCE_F16};
    return TOLERANCES[plan->precision];
}

void numbers_to_float(enum number number, void *numbers, size_t count)
{
    float *floats = numbers;
    for (size_t i = count; number != NUMBER_F32 && i-- > 0;) { /* from behind: floats are longer */
        uint16_t bits;
        memcpy(&bits, (char *)numbers + i * sizeof bits, sizeof bits);
        floats[i] = number_to_float(number, bits);
    }
}

size_t verify_scratch(const struct plan *plan)
{
    size_t bytes = 0;
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (!plan->tensors[t].weight)
            bytes = size_max(bytes, plan->tensors[t].bytes);
    return bytes;
}

vitcl_status verify_outputs(struct executor *executor, struct device *device, const struct reference *reference,
                            size_t s, float *scratch, double *deviation, vitcl_error *err)
{
    const struct plan *plan = reference->plan;
    vitcl_status status = VITCL_OK;
    *deviation = 0;
    for (size_t i = 0; i < STEP_OUTPUTS; i++) {
        int output = plan->steps[s].output[i];
        const struct tensor *tensor = &plan->tensors[output];
        size_t count;
        if (output == NO_TENSOR)
            continue;
        count = tensor->rows * tensor->cols;
        TRY(buffer_read(executor_buffer(executor, output), scratch, count * number_bytes(tensor->number), err));
        TRY(device_finish(device, err));
        numbers_to_float(tensor->number, scratch, count);
        *deviation = fmax(*deviation, deviation_of(scratch, reference->data[output], count));
    }
done:
    return status;
}

/* Whether a step's outputs, as the reference has them, are no numbers in f16. */
static bool overflows(const struct reference *reference, size_t s)
{
    const struct plan *plan = reference->plan;
    bool finite = true;
    for (size_t i = 0; i < STEP_OUTPUTS && plan->precision == VITCL_PRECISION_F16; i++) {
        const int output = plan->steps[s].output[i];
        if (output != NO_TENSOR)
            finite &= all_finite(reference->data[output], plan->tensors[output].rows * plan->tensors[output].cols);
    }
    return !finite;
}

vitcl_status verify_plan(struct executor *executor, struct device *device, struct reference *reference,
                         vitcl_verify_fn report, void *user, vitcl_error *err)
{
    const struct plan *plan = reference->plan;
    vitcl_status status = VITCL_OK;
    vitcl_verify_step first_bad = {0};
    float *scratch = malloc(verify_scratch(plan));

    if (!scratch)
        return fail_memory(err, verify_scratch(plan));
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct step *step = &plan->steps[s];
        vitcl_verify_step line = {.index = s,
                                  .count = plan->step_count,
                                  .label = step->label,
                                  .variant = step->variant_name,
                                  .tolerance = verify_tolerance(plan)};
        TRY(executor_enqueue_step(executor, s, err));
        reference_run_step(reference, s);
        if (overflows(reference, s))
            TRY(fail(err, VITCL_ERROR_OVERFLOW,
                     "step %zu, %s: a number is too large for f16, whose largest is 65504: f32 and bf16 hold it", s,
                     step->label));
        TRY(verify_outputs(executor, device, reference, s, scratch, &line.deviation, err));
        line.passed = line.deviation <= line.tolerance;
        if (!line.passed && !first_bad.label)
            first_bad = line;
        if (report)
            report(user, &line);
    }
    if (first_bad.label)
        TRY(fail(err, VITCL_ERROR_MISMATCH,
                 "step %zu, %s (%s), deviates from the plain-C reference by %.3g of its rms; at most %.3g passes",
                 first_bad.index, first_bad.label, first_bad.variant, first_bad.deviation, first_bad.tolerance));
done:
    free(scratch);
    return status;
}
