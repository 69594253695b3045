/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/nearest.h"
#include "cli/options.h"

static const struct ifd_option table[] = {
    {.kind = IFD_OPTION_SECTION, .name = "Things"},
    {.kind = IFD_OPTION_STRING, .name = "model", .value = "DIR", .help = "a directory"},
    {.kind = IFD_OPTION_COUNT,
     .name = "port",
     .value = "N",
     .preset = "8000",
     .most = 65535,
     .help = "a port"},
    {.kind = IFD_OPTION_BYTES,
     .name = "max-body-bytes",
     .value = "SIZE",
     .preset = "2MiB",
     .least = 2,
     .most = 1u << 30,
     .help = "a size"},
    {.kind = IFD_OPTION_DURATION,
     .name = "drain-timeout",
     .value = "TIME",
     .preset = "20s",
     .least = 1,
     .most = 86400000,
     .help = "a time"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "format",
     .value = "F",
     .preset = "text",
     .choices = "text|tsv|jsonl",
     .help = "a choice"},
    {.kind = IFD_OPTION_FLAG, .name = "json", .help = "a flag"},
    {.kind = IFD_OPTION_STRING,
     .name = "tier",
     .value = "T",
     .env = "INFERD_CPU",
     .help = "a name"},
    {.kind = IFD_OPTION_FLAG, .name = "print-config", .env = "", .help = "no variable"},
    {.kind = IFD_OPTION_LIST, .name = "header", .value = "H", .help = "may be given again"},
    {.kind = IFD_OPTION_LIST, .name = "also", .value = "H", .help = "another list"},
    {.kind = IFD_OPTION_STRING, .name = "key", .value = "K", .help = "a secret", .secret = true},
    {.kind = IFD_OPTION_STRING, .name = "config", .value = "FILE", .help = "a file"},
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static const char *environment[16]; /* NAME, value, NAME, value, NULL */

static const char *lookup(const char *name)
{
    for (size_t i = 0; environment[i]; i += 2)
        if (strcmp(environment[i], name) == 0)
            return environment[i + 1];
    return NULL;
}

static struct ifd_options o;
static inferd_error err;
static char *argv_copy[32];

static inferd_status parse(const char *const *args)
{
    int n = 0;
    while (args[n]) {
        argv_copy[n] = (char *)(uintptr_t)args[n];
        n++;
    }
    ifd_options_fini(&o); /* of the last one */
    ifd_options_init(&o, table, ROWS);
    return ifd_options_parse(&o, n, argv_copy, lookup, &err);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static int reset(void **state)
{
    (void)state;
    memset(environment, 0, sizeof(environment));
    return 0;
}

static void defaults(void **state)
{
    (void)state;
    assert_ok(parse((const char *const[]){NULL}), err);
    assert_int_equal(ifd_options_number(&o, "port"), 8000);
    assert_int_equal(ifd_options_number(&o, "max-body-bytes"), 2u << 20);
    assert_int_equal(ifd_options_number(&o, "drain-timeout"), 20000);
    assert_int_equal(ifd_options_number(&o, "format"), 0);
    assert_null(ifd_options_text(&o, "model"));
    assert_false(ifd_options_flag(&o, "json"));
    assert_int_equal(ifd_options_get(&o, "port")->origin, IFD_FROM_DEFAULT);
}

static void both_spellings_and_the_last_wins(void **state)
{
    (void)state;
    assert_ok(PARSE("--port=1", "--model", "a b", "--port", "2", "--json", "--format=jsonl"), err);
    assert_int_equal(ifd_options_number(&o, "port"), 2);
    assert_string_equal(ifd_options_text(&o, "model"), "a b");
    assert_true(ifd_options_flag(&o, "json"));
    assert_int_equal(ifd_options_number(&o, "format"), 2);
    assert_int_equal(ifd_options_get(&o, "model")->origin, IFD_FROM_COMMAND_LINE);
    assert_ok(PARSE("--model=a=b", "--json=no"), err);
    assert_string_equal(ifd_options_text(&o, "model"), "a=b");
    assert_false(ifd_options_flag(&o, "json"));
    assert_ok(PARSE("--model", "--port"), err); /* a value may look like an option */
    assert_string_equal(ifd_options_text(&o, "model"), "--port");
}

static void the_command_line_beats_the_environment_beats_the_default(void **state)
{
    (void)state;
    environment[0] = "INFERD_PORT";
    environment[1] = "7";
    environment[2] = "INFERD_CPU";
    environment[3] = "ref";
    environment[4] = "INFERD_MAX_BODY_BYTES";
    environment[5] = "1KiB";
    environment[6] = "INFERD_JSON";
    environment[7] = "true";
    environment[8] = "INFERD_PRINT_CONFIG"; /* has no variable */
    environment[9] = "yes";
    environment[10] = "INFERD_MODEL"; /* empty is unset */
    environment[11] = "";
    assert_ok(PARSE("--max-body-bytes", "3"), err);
    assert_int_equal(ifd_options_number(&o, "port"), 7);
    assert_int_equal(ifd_options_get(&o, "port")->origin, IFD_FROM_ENVIRONMENT);
    assert_string_equal(ifd_options_text(&o, "tier"), "ref");
    assert_int_equal(ifd_options_number(&o, "max-body-bytes"), 3);
    assert_true(ifd_options_flag(&o, "json"));
    assert_false(ifd_options_flag(&o, "print-config"));
    assert_null(ifd_options_text(&o, "model"));
    assert_int_equal(ifd_options_get(&o, "drain-timeout")->origin, IFD_FROM_DEFAULT);
}

static void lists(void **state)
{
    (void)state;
    static const char *many[3 * IFD_OPTIONS_ITEMS_MAX];
    assert_ok(PARSE("--port", "1"), err);
    assert_null(ifd_options_item(&o, "header", 0));
    assert_ok(PARSE("--header", "a", "--also=x", "--header=b", "--also", "y"), err);
    assert_string_equal(ifd_options_item(&o, "header", 0), "a");
    assert_string_equal(ifd_options_item(&o, "header", 1), "b");
    assert_null(ifd_options_item(&o, "header", 2));
    assert_string_equal(ifd_options_item(&o, "also", 1), "y");
    environment[0] = "INFERD_HEADER";
    environment[1] = "e";
    environment[2] = "INFERD_ALSO";
    environment[3] = "f";
    assert_ok(PARSE("--port", "1"), err);
    assert_string_equal(ifd_options_item(&o, "header", 0), "e");
    assert_ok(PARSE("--header", "a", "--header", "b"), err); /* replaces the environment's */
    assert_string_equal(ifd_options_item(&o, "header", 0), "a");
    assert_string_equal(ifd_options_item(&o, "header", 1), "b");
    assert_null(ifd_options_item(&o, "header", 2));
    assert_string_equal(ifd_options_item(&o, "also", 0), "f");
    environment[0] = NULL;
    for (size_t n = IFD_OPTIONS_ITEMS_MAX - 1; n <= IFD_OPTIONS_ITEMS_MAX + 1; n++) {
        argv_copy[0] = NULL;
        for (size_t i = 0; i < n; i++)
            many[i] = "--header=h";
        many[n] = NULL;
        if (n <= IFD_OPTIONS_ITEMS_MAX)
            assert_ok(parse(many), err);
        else
            assert_fails(parse(many), INFERD_INVALID_ARGUMENT, err, "given more than 16 times");
    }
}

static void arguments_and_the_end_of_options(void **state)
{
    (void)state;
    assert_ok(PARSE("one", "--json", "two", "--", "--port", "-x"), err);
    assert_int_equal(o.arg_count, 4);
    assert_string_equal(o.args[0], "one");
    assert_string_equal(o.args[1], "two");
    assert_string_equal(o.args[2], "--port");
    assert_string_equal(o.args[3], "-x");
    assert_ok(PARSE("-", ""), err);
    assert_int_equal(o.arg_count, 2);
}

static void help_comes_before_all_complaints(void **state)
{
    (void)state;
    environment[0] = "INFERD_PORT";
    environment[1] = "nonsense";
    assert_ok(PARSE("--nonsense", "--help"), err);
    assert_true(o.help);
    assert_ok(PARSE("-h"), err);
    assert_true(o.help);
    environment[0] = NULL;
    assert_ok(PARSE("--", "--help"), err);
    assert_false(o.help);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *args[3], *part;
    } cases[] = {
        {{"--prot", "1"}, "there is no option --prot; did you mean --port?"},
        {{"--max-body"}, "did you mean --max-body-bytes?"},
        {{"--modle=x"}, "did you mean --model?"},
        {{"--completely-else"}, "there is no option --completely-else; see --help"},
        {{"--"
          "Things"},
         "there is no option --Things"},
        {{"-p"}, "there is no option -p"},
        {{"--port"}, "--port needs a value: --port N"},
        {{"--port", ""}, "must be a whole number"},
        {{"--port", "-1"}, "--port -1: must be a whole number"},
        {{"--port", "+1"}, "must be a whole number"},
        {{"--port", " 1"}, "must be a whole number"},
        {{"--port", "1k"}, "must be a whole number"},
        {{"--port", "0x10"}, "must be a whole number"},
        {{"--port", "65536"}, "--port 65536: must be from 0 to 65535"},
        {{"--port", "99999999999999999999"}, "must be a whole number"},
        {{"--max-body-bytes", "1"}, "must be from 2 to 1GiB"},
        {{"--max-body-bytes", "1MB"}, "KiB, MiB or GiB"},
        {{"--max-body-bytes", "17179869184GiB"}, "KiB, MiB or GiB"},
        {{"--drain-timeout", "0"}, "must be from 1ms to 86400s"},
        {{"--drain-timeout", "1h"}, "a time such as"},
        {{"--drain-timeout", "1."}, "a time such as"},
        {{"--drain-timeout", "0.0001"}, "a time such as"},
        {{"--drain-timeout", "1.5ms"}, "a time such as"},
        {{"--format", "csv"}, "--format csv: must be one of text|tsv|jsonl"},
        {{"--format", "text|tsv"}, "must be one of"},
        {{"--json=maybe"}, "must be yes or no"},
        {{"--model="}, "--model: must not be empty"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_fails(parse(cases[i].args), INFERD_INVALID_ARGUMENT, err, cases[i].part);
    environment[0] = "INFERD_PORT";
    environment[1] = "70000";
    assert_fails(PARSE("--json"), INFERD_INVALID_ARGUMENT, err,
                 "INFERD_PORT=70000 (environment): must be from 0 to 65535");
}

static void numbers_and_units(void **state)
{
    (void)state;
    static const struct {
        enum ifd_option_kind kind;
        const char *text;
        uint64_t number;
        const char *back;
    } cases[] = {
        {IFD_OPTION_COUNT, "0", 0, "0"},
        {IFD_OPTION_COUNT, "18446744073709551615", UINT64_MAX, "18446744073709551615"},
        {IFD_OPTION_BYTES, "0", 0, "0"},
        {IFD_OPTION_BYTES, "1023", 1023, "1023"},
        {IFD_OPTION_BYTES, "1024", 1024, "1KiB"},
        {IFD_OPTION_BYTES, "1025", 1025, "1025"},
        {IFD_OPTION_BYTES, "3MiB", 3u << 20, "3MiB"},
        {IFD_OPTION_BYTES, "1536KiB", 1536u << 10, "1536KiB"},
        {IFD_OPTION_BYTES, "1GiB", 1u << 30, "1GiB"},
        {IFD_OPTION_DURATION, "0", 0, "0s"},
        {IFD_OPTION_DURATION, "250ms", 250, "250ms"},
        {IFD_OPTION_DURATION, "0.3", 300, "300ms"},
        {IFD_OPTION_DURATION, "1.5s", 1500, "1500ms"},
        {IFD_OPTION_DURATION, "2.000000", 2000, "2s"},
        {IFD_OPTION_DURATION, "0.001", 1, "1ms"},
        {IFD_OPTION_DURATION, "75s", 75000, "75s"},
        {IFD_OPTION_DURATION, "75", 75000, "75s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t number;
        char back[32];
        if (!ifd_option_number(cases[i].kind, cases[i].text, &number))
            fail_msg("%s was refused", cases[i].text);
        assert_int_equal(number, cases[i].number);
        ifd_option_format(cases[i].kind, number, back, sizeof(back));
        assert_string_equal(back, cases[i].back);
        assert_true(ifd_option_number(cases[i].kind, back, &number));
        assert_int_equal(number, cases[i].number);
    }
}

static void assert_has(const struct ifd_buf *b, const char *part)
{
    if (!memmem(b->data, b->size, part, strlen(part)))
        fail_msg("'%s' is not in:\n%.*s", part, (int)b->size, b->data);
}

static void help_shows_default_range_and_variable(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 1 << 16);
    ifd_options_init(&o, table, ROWS);
    ifd_options_preset(&o, "port", 9);
    ifd_options_help(&o, &b);
    assert_has(&b, "Things:\n");
    assert_has(&b,
               "  --port N\n      a port\n      [default: 9; from 0 to 65535; env INFERD_PORT]\n");
    assert_has(&b, "[default: 2MiB; from 2 to 1GiB; env INFERD_MAX_BODY_BYTES]");
    assert_has(&b, "[default: 20s; from 1ms to 86400s; env INFERD_DRAIN_TIMEOUT]");
    assert_has(&b, "[default: text; one of text|tsv|jsonl; env INFERD_FORMAT]");
    assert_has(&b, "  --json\n      a flag\n      [default: no; env INFERD_JSON]");
    assert_has(&b, "[default: none; env INFERD_CPU]");
    assert_has(&b, "no variable\n      [default: no]\n");
    ifd_buf_reset(&b);
    environment[0] = "INFERD_PORT";
    environment[1] = "7";
    assert_ok(PARSE("--format", "tsv"), err);
    ifd_options_print(&o, &b);
    assert_has(&b, "port                 7                        environment INFERD_PORT\n");
    assert_has(&b, "format               tsv                      command line\n");
    assert_has(&b, "max-body-bytes       2MiB                     default\n");
    ifd_buf_fini(&b);
}

static void nearest_names(void **state)
{
    (void)state;
    static const char *const names[] = {"serve",   "classify",    "tokenize",
                                        "inspect", "healthcheck", "version"};
    static const struct {
        const char *typed, *want;
    } cases[] = {
        {"servee", "serve"},
        {"sevre", "serve"},
        {"clasify", "classify"},
        {"token", "tokenize"},
        {"tokenise", "tokenize"},
        {"health", "healthcheck"},
        {"versoin", "version"},
        {"x", NULL},
        {"", NULL},
        {"run", NULL},
        {"predict", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = ifd_nearest(cases[i].typed, names, 6);
        if ((got == NULL) != (cases[i].want == NULL) || (got && strcmp(got, cases[i].want) != 0))
            fail_msg("%s: want %s, got %s", cases[i].typed, cases[i].want ? cases[i].want : "none",
                     got ? got : "none");
    }
    char longest[500];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(ifd_nearest(longest, names, 6));
}

/* A file of that text, for the next PARSE. */
static const char *write_file(const char *text, size_t size)
{
    static char path[] = "/tmp/inferd-options-XXXXXX";
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    return path;
}

static inferd_status parse_file(const char *text)
{
    const char *path = write_file(text, strlen(text));
    inferd_status s = PARSE("--config", path);
    unlink(path);
    return s;
}

static void a_file_is_weaker_than_the_rest(void **state)
{
    (void)state;
    assert_ok(parse_file("# all of it\n\n  port = 1  # one\nmodel=\"a dir # b\"\n\tjson = yes\r\n"
                         "drain-timeout = 300ms\nformat = tsv\nheader = A: 1\nheader = B: 2\n"
                         "tier = x#y"),
              err);
    assert_int_equal(ifd_options_number(&o, "port"), 1);
    assert_string_equal(ifd_options_text(&o, "model"), "a dir # b");
    assert_true(ifd_options_flag(&o, "json"));
    assert_int_equal(ifd_options_number(&o, "drain-timeout"), 300);
    assert_int_equal(ifd_options_number(&o, "format"), 1);
    assert_string_equal(ifd_options_item(&o, "header", 1), "B: 2");
    assert_string_equal(ifd_options_text(&o, "tier"), "x#y");
    assert_int_equal(ifd_options_get(&o, "port")->origin, IFD_FROM_FILE);
    assert_int_equal(ifd_options_get(&o, "port")->line, 3);
    ifd_options_fini(&o);

    environment[0] = "INFERD_PORT";
    environment[1] = "2";
    environment[2] = "INFERD_HEADER";
    environment[3] = "C: 3";
    assert_ok(parse_file("port = 1\nheader = A: 1\nmax-body-bytes = 5"), err);
    assert_int_equal(ifd_options_number(&o, "port"), 2);
    assert_int_equal(ifd_options_number(&o, "max-body-bytes"), 5);
    assert_string_equal(ifd_options_item(&o, "header", 0), "C: 3"); /* replaced, not added to */
    assert_null(ifd_options_item(&o, "header", 1));
    ifd_options_fini(&o);

    const char *path = write_file("port = 1", 8);
    environment[0] = "INFERD_CONFIG"; /* the variable names a file as well */
    environment[1] = path;
    assert_ok(PARSE("--port", "3"), err);
    assert_int_equal(ifd_options_number(&o, "port"), 3);
    assert_ok(PARSE("--json"), err);
    assert_int_equal(ifd_options_number(&o, "port"), 1);
    unlink(path);
    ifd_options_fini(&o);
}

static void a_file_s_faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"port = 1\nprot = 2", ":2: there is no option prot; did you mean port?"},
        {"port", ":1: a line is `name = value`, not 'port'"},
        {"\n\nport = 1\nport = 2", ":4: port is there twice, first in line 3"},
        {"port = x", ":1: port = x: must be a whole number"},
        {"port = 65536", "must be from 0 to 65535"},
        {"format = xml", "must be one of text|tsv|jsonl"},
        {"model =", "--model: must not be empty"},
        {"config = other", "there is no option config"},
        {"--port = 1", "there is no option --port"},
        {"key = short value\nport = y", ":2: port"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(parse_file(rows[i].text), INFERD_INVALID_ARGUMENT);
        if (!strstr(err.message, rows[i].part))
            fail_msg("'%s': %s", rows[i].text, err.message);
        ifd_options_fini(&o);
    }
    assert_int_not_equal(PARSE("--config", "/no/such/file"), INFERD_OK);
    assert_non_null(strstr(err.message, "/no/such/file"));
    const char *path = write_file("port = 1\0", 9);
    assert_int_equal(PARSE("--config", path), INFERD_INVALID_ARGUMENT);
    unlink(path);
    ifd_options_fini(&o);
}

static void secrets_are_not_printed(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 1u << 16);
    assert_ok(parse_file("key = the-secret\nport = 7"), err);
    ifd_options_print(&o, &b);
    ifd_buf_add_char(&b, '\0');
    assert_null(strstr(b.data, "the-secret"));
    assert_non_null(strstr(b.data, "(set)"));
    assert_non_null(strstr(b.data, ":2\n")); /* positive control: what is no secret is there */
    assert_non_null(strstr(b.data, "7 "));
    assert_int_equal(parse_file("key = \"\""), INFERD_INVALID_ARGUMENT);
    ifd_buf_fini(&b);
    ifd_options_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_is_weaker_than_the_rest, reset),
        cmocka_unit_test_setup(a_file_s_faults_are_named, reset),
        cmocka_unit_test_setup(secrets_are_not_printed, reset),
        cmocka_unit_test_setup(defaults, reset),
        cmocka_unit_test_setup(both_spellings_and_the_last_wins, reset),
        cmocka_unit_test_setup(the_command_line_beats_the_environment_beats_the_default, reset),
        cmocka_unit_test_setup(lists, reset),
        cmocka_unit_test_setup(arguments_and_the_end_of_options, reset),
        cmocka_unit_test_setup(help_comes_before_all_complaints, reset),
        cmocka_unit_test_setup(refusals, reset),
        cmocka_unit_test_setup(numbers_and_units, reset),
        cmocka_unit_test_setup(help_shows_default_range_and_variable, reset),
        cmocka_unit_test_setup(nearest_names, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
