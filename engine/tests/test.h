/* SPDX-License-Identifier: Apache-2.0
 *
 * test.h - cmocka with its prerequisites, and the asserts that it lacks.
 */
#ifndef IFD_TESTS_TEST_H
#define IFD_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* Under qemu-user (scripts/test-arm64.sh says so): a hundred times slower, so fewer sizes, and what
 * the emulator does not pretend is left out. */
static inline bool test_emulated(void)
{
    return getenv("IFD_TEST_EMULATED") != NULL;
}

/* A call that must succeed; prints its message otherwise. `err` is the inferd_error that it fills.
 */
#define assert_ok(call, err)                                                           \
    do {                                                                               \
        inferd_status status_ = (call);                                                \
        if (status_ != INFERD_OK)                                                      \
            fail_msg("%s: %s: %s", #call, inferd_status_type(status_), (err).message); \
    } while (0)

/* A call that must fail with `want` and a message that contains `part`. */
#define assert_fails(call, want, err, part)                                        \
    do {                                                                           \
        (err).message[0] = '\0';                                                   \
        inferd_status status_ = (call);                                            \
        if (status_ != (want))                                                     \
            fail_msg("%s: want %s, got %s (%s)", #call, inferd_status_type(want),  \
                     inferd_status_type(status_), (err).message);                  \
        if (!strstr((err).message, (part)))                                        \
            fail_msg("%s: message '%s' lacks '%s'", #call, (err).message, (part)); \
    } while (0)

#endif
