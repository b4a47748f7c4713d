/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz_life.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_life(FUZZ_SLAVE, data, size);
}
