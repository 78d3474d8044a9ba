/* make_model.c - writes a model with random weights in the layout that Hugging Face publishes, so that models of real
 * size can be run, verified and timed without a download:
 *
 *     make_model vit_base_patch16_224 DIR
 *     make_model dinov2_base_patch14_518 DIR
 *     make_model siglip_so400m_patch14_384 DIR
 */
#include "random_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: make_model {vit|dinov2|siglip}_{tiny|small|base|large|huge|so400m}_patchP_S DIR\n"
              "for example: make_model vit_base_patch16_224 /tmp/vit_base\n",
              stderr);
        return 2;
    }
    if (mkdir(argv[2], 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "make_model: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    return random_model_write(argv[1], argv[2]) ? 0 : 1;
}
