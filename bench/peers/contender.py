"""contender.py - one runtime in a process of its own: answers some pixels, then times passes as it is told.

    contender.py RUNTIME PRECISION THREADS MODEL_FOLDER MODEL.onnx PIXELS.npy ANSWER.npy

writes the answer [B,C] (embedding [B,D] of a model without classifier) and prints "ready"; then, for each line on stdin,
a number of seconds, runs once untimed, and timed for so long, but twice at least; prints the times as JSON. Ends with
stdin. Each runtime imports only what it needs, and is set up for the time of one batch with all its threads.
"""
import json
import os
import sys
import time

import numpy

RUNTIME, PRECISION, THREADS, FOLDER, ONNX, PIXELS, ANSWER = sys.argv[1:]
LIBRARY = os.path.join(os.path.dirname(__file__), "../../build/libvitcl.so")


def answer_size():
    with open(os.path.join(FOLDER, "config.json")) as file:
        config = json.load(file)
    return len(config["id2label"]) if "id2label" in config else config["hidden_size"]


def vitcl(pixels):
    import ctypes

    class Error(ctypes.Structure):
        _fields_ = [("status", ctypes.c_int), ("cl_code", ctypes.c_int), ("message", ctypes.c_char * 2048)]

    class Params(ctypes.Structure):  # vitcl_session_params
        _fields_ = [("batch_size", ctypes.c_size_t), ("outputs", ctypes.c_uint), ("variants", ctypes.c_char_p),
                    ("precision", ctypes.c_int)]

    class Results(ctypes.Structure):  # vitcl_results
        _fields_ = [("logits", ctypes.c_void_p), ("embedding", ctypes.c_void_p), ("hidden", ctypes.c_void_p)]

    os.environ["POCL_AFFINITY"] = "1"
    os.environ["POCL_MAX_PTHREAD_COUNT"] = THREADS
    library, error = ctypes.CDLL(LIBRARY), Error()

    def call(function, *arguments):
        if getattr(library, function)(*arguments, ctypes.byref(error)):
            sys.exit("vitcl: " + error.message.decode())

    context, model, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    params = Params(batch_size=len(pixels), precision={"f32": 0, "bf16": 1}[PRECISION])
    call("vitcl_context_create", ctypes.byref(context), None)
    call("vitcl_model_create", ctypes.byref(model), FOLDER.encode(), None)
    call("vitcl_session_create", ctypes.byref(session), context, model, ctypes.byref(params))
    answer = numpy.empty((len(pixels), answer_size()), numpy.float32)
    with open(os.path.join(FOLDER, "config.json")) as file:
        which = "logits" if "id2label" in json.load(file) else "embedding"
    results = Results(**{which: answer.ctypes.data})

    def run():
        call("vitcl_session_run_pixels", session, ctypes.c_void_p(pixels.ctypes.data), None,
             ctypes.c_size_t(len(pixels)), ctypes.byref(results))
        return answer
    return run


def openvino(pixels):
    import openvino
    # Said for f32, too: on a CPU that multiplies bf16 it is not the default.
    model = openvino.Core().compile_model(ONNX, "CPU", {
        "INFERENCE_PRECISION_HINT": PRECISION, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": THREADS})
    return lambda: model(pixels, share_inputs=True, share_outputs=True)[0]


def onnxruntime(pixels):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(THREADS)  # they spin, which is faster: peers.py stops who is not running
    session = onnxruntime.InferenceSession(ONNX, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"pixels": pixels})[0]


def torch(pixels):
    import torch
    from reference import load
    torch.set_num_threads(int(THREADS))
    model = load(FOLDER).to({"f32": torch.float32, "bf16": torch.bfloat16}[PRECISION])
    tensor = torch.from_numpy(pixels)

    def run():
        with torch.inference_mode():
            return model(tensor.to(next(model.parameters()).dtype)).float().numpy()
    return run


def main():
    pixels = numpy.load(PIXELS)
    run = {"vitcl": vitcl, "openvino": openvino, "onnxruntime": onnxruntime, "torch": torch}[RUNTIME](pixels)
    numpy.save(ANSWER, run())
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        run()
        end = time.perf_counter() + float(line)
        while len(times) < 2 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


main()
