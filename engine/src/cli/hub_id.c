/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hub_id.h"

#include <string.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_part(const char *s, size_t n)
{
    if (n == 0 || n > IFD_HUB_PART_MOST || !is_plain(s[0]) || !is_plain(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++) {
        const bool mark = s[i] == '.' || s[i] == '-';
        if ((!is_plain(s[i]) && !mark) || (mark && s[i + 1] == s[i]))
            return false;
    }
    return true;
}

inferd_status ifd_hub_id_check(const char *id, inferd_error *err)
{
    const char *slash = strchr(id, '/');
    const char *name = slash ? slash + 1 : id;
    if ((!slash || is_part(id, (size_t)(slash - id))) && is_part(name, strlen(name)))
        return INFERD_OK;
    return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                    "'%.100s' is no repository: it must be NAME or ORGANISATION/NAME, of letters, "
                    "digits, '.', '_' and '-'",
                    id);
}

inferd_status ifd_hub_revision_check(const char *revision, inferd_error *err)
{
    const size_t n = strlen(revision);
    bool good = n > 0 && n < IFD_HUB_REVISION_SIZE && is_plain(revision[0]);
    for (size_t i = 0; i < n && good; i++)
        good = is_plain(revision[i]) ||
               (strchr(".-/+", revision[i]) && !(revision[i] == '.' && revision[i + 1] == '.'));
    return good ? INFERD_OK
                : ifd_fail(err, INFERD_INVALID_ARGUMENT,
                           "'%.100s' is no revision: it must be a branch, a tag or a commit, of "
                           "letters, digits, '.', '_', '-', '/' and '+'",
                           revision);
}

bool ifd_hub_id_split(const char *text, char id[IFD_HUB_ID_SIZE],
                      char revision[IFD_HUB_REVISION_SIZE])
{
    const size_t n = strcspn(text, "@");
    const char *said = text[n] ? text + n + 1 : "main";
    if (n >= IFD_HUB_ID_SIZE || !memchr(text, '/', n) || strlen(said) >= IFD_HUB_REVISION_SIZE)
        return false;
    memcpy(id, text, n);
    id[n] = '\0';
    memcpy(revision, said, strlen(said) + 1);
    return !ifd_hub_id_check(id, NULL) && !ifd_hub_revision_check(revision, NULL);
}
