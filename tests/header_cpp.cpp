/* header_cpp.cpp - vitcl.h alone compiles as C++, its functions have C linkage there, and its structs can be filled as
 * in C. */
#include "vitcl.h"

int main()
{
    vitcl_error error = {};
    vitcl_context_params context_params = {};
    vitcl_model_params model_params = {};
    vitcl_session_params session_params = {};
    vitcl_results results = {};
    vitcl_image image = {};
    vitcl_grid grid = {};
    vitcl_model *model = nullptr;
    vitcl_session *session = nullptr;

    context_params.device = "";
    model_params.resize = VITCL_RESIZE_PIL;
    model_params.image_height = model_params.image_width = 224;
    session_params.outputs = VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_HIDDEN;
    session_params.batch_size = VITCL_QUEUE_DEPTH;
    if (vitcl_context_create(nullptr, &context_params, &error) != VITCL_ERROR_ARGUMENT)
        return 1;
    if (vitcl_model_create(&model, nullptr, &model_params, &error) != VITCL_ERROR_ARGUMENT || model)
        return 1;
    if (vitcl_model_preprocess(model, &image, nullptr, &grid, &error) != VITCL_ERROR_ARGUMENT)
        return 1;
    if (vitcl_session_create(&session, nullptr, model, &session_params, &error) != VITCL_ERROR_ARGUMENT)
        return 1;
    if (vitcl_session_run(session, &image, 1, &results, nullptr) != VITCL_ERROR_ARGUMENT)
        return 1;
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    return vitcl_version()[0] == '0' + VITCL_VERSION_MAJOR ? 0 : 1;
}
