/* Versions, names, schemas, filters. */
#include "check.h"

void test_about(void) {
    char *text = NULL;
    int number, named = 0;
    CHECK(strcmp(psnd_version(), PSND_VERSION) == 0);
    CHECK(psnd_abi_version() == PSND_ABI_VERSION);
    calls += 2;

    CHECK(strcmp(psnd_status_name(0), "OK") == 0);
    CHECK(strcmp(psnd_status_kind(0), "ok") == 0);
    CHECK(strcmp(psnd_status_name(PSND_STATUS_OUT_OF_RANGE), "OUT_OF_RANGE") == 0);
    CHECK(strcmp(psnd_status_kind(PSND_STATUS_PANIC), "internal") == 0);
    CHECK(psnd_status_name(-1) == NULL && psnd_status_kind(1) == NULL);
    for (number = -5; number < 1100; number++) {
        CHECK((psnd_status_name(number) == NULL) == (psnd_status_kind(number) == NULL));
        named += psnd_status_name(number) != NULL;
    }
    calls += 6;
    OK(psnd_error_table(&text, NULL));
    CHECK(text != NULL && strstr(text, "\"code\":304") != NULL);
    number = 1; /* OK is not in the table */
    if (text != NULL) {
        const char *at = text;
        while ((at = strstr(at, "\"code\"")) != NULL) {
            number++;
            at++;
        }
    }
    CHECK(number == named);
    HOLDS(text, "INVALID_HANDLE");
    FAILS(INVALID_VALUE, "out_json", psnd_error_table(NULL, &error));

    /* Errors that are not there. */
    CHECK(psnd_error_status(NULL) == PSND_STATUS_OK);
    CHECK(psnd_error_name(NULL) == NULL && psnd_error_kind(NULL) == NULL);
    CHECK(psnd_error_message(NULL) == NULL && psnd_error_json(NULL) == NULL);
    psnd_error_free(NULL);
    psnd_string_free(NULL);
    psnd_bytes_free(NULL, 0);
    psnd_bytes_free(NULL, 17);
    calls += 9;

    OK(psnd_filters(&text, NULL));
    HOLDS(text, "\"limiter\"");
    GIVES(INVALID_VALUE, psnd_filters(NULL, NULL));
    OK(psnd_schema("recipe", &text, NULL));
    HOLDS(text, "\"Recipe\"");
    OK(psnd_schema(NULL, &text, NULL));
    HOLDS(text, "\"report\"");
    FAILS(UNKNOWN_NAME, "\"suggestion\":\"recipe\"", psnd_schema("recip", &text, &error));
    FAILS(INVALID_VALUE, "UTF-8", psnd_schema("\xff\xfe", &text, &error));
    GIVES(INVALID_VALUE, psnd_schema("recipe", NULL, NULL));
    CHECK(text == NULL);
}
