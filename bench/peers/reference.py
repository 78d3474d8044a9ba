"""reference.py - the model as PyTorch and transformers run it, and as the ONNX file that the other rivals take.

    reference.py MODEL_FOLDER BATCH MODEL.onnx
"""
import sys
import warnings

import torch
import transformers


class Answer(torch.nn.Module):
    """pixel values to logits, or to the pooled output of a model without classifier"""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        output = self.model(pixel_values=pixels)
        return output.logits if "logits" in output else output.pooler_output


def load(folder):
    """In float32, with PyTorch's own attention, the fastest that transformers offers on a CPU."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, config.architectures[0])
    return Answer(model.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")).eval()


def main():
    folder, batch, path = sys.argv[1:]
    warnings.simplefilter("ignore")
    model = load(folder)
    side = model.model.config.image_size
    torch.onnx.export(model, (torch.zeros(int(batch), 3, side, side),), path, dynamo=False, opset_version=17,
                      input_names=["pixels"], output_names=["answer"])


if __name__ == "__main__":
    main()
