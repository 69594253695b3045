/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h - how a function of this project fails.
 *
 * It returns an inferd_status from the one table in inferd.h and fills the caller's inferd_error.
 * Out-parameters stay untouched on failure. A message says what was wrong and what to do, and names
 * the file, tensor, offset or option it is about. No function here allocates; all are thread-safe.
 */
#ifndef IFD_BASE_ERR_H
#define IFD_BASE_ERR_H

#include <inferd/inferd.h>

#define IFD_MUST_CHECK __attribute__((warn_unused_result))
#define IFD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fill `err` (may be NULL) and return `status`, so that failing is one line:
 *     return ifd_fail(err, INFERD_MODEL_INVALID, "%s: tensor %s is missing", path, name);
 * A message that does not fit is cut at a UTF-8 boundary. */
inferd_status ifd_fail(inferd_error *err, inferd_status status, const char *fmt, ...)
    IFD_PRINTF(3, 4);

/* Put "prefix: " before a message that a callee has set; returns err->status. */
inferd_status ifd_fail_prefix(inferd_error *err, const char *fmt, ...) IFD_PRINTF(2, 3);

/* HTTP status and whether a client may retry. */
int ifd_status_http(inferd_status status);
int ifd_status_retryable(inferd_status status);

/* Always on: an invariant of ours is broken, going on would answer wrongly. Never for input. */
#define IFD_ASSERT(cond)                                  \
    do {                                                  \
        if (__builtin_expect(!(cond), 0))                 \
            ifd_assert_failed(#cond, __FILE__, __LINE__); \
    } while (0)
_Noreturn void ifd_assert_failed(const char *cond, const char *file, int line);

#endif
