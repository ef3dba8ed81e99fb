/* Counts calls and mistakes of the C tests. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "puresound.h"

extern unsigned long calls;
extern unsigned long mistakes;

#define SAY_WRONG(...) (mistakes++, printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"))

/* A condition that must hold. */
#define CHECK(condition)                        \
    do {                                        \
        if (!(condition)) {                     \
            SAY_WRONG("not true: " #condition); \
        }                                       \
    } while (0)

/* A call without a place for the error, which must give this status. */
#define GIVES(expected, call)                                                            \
    do {                                                                                 \
        const int got_ = (int)(call);                                                    \
        calls++;                                                                         \
        if (got_ != (int)PSND_STATUS_##expected) {                                       \
            SAY_WRONG("%d instead of " #expected ": " #call, got_);                      \
        }                                                                                \
    } while (0)

#define OK(call) GIVES(OK, call)

/* A call with `&error` as its last argument, which must fail with this status and an error whose JSON has the text. */
#define FAILS(expected, text, call)                                                      \
    do {                                                                                 \
        psnd_error *error = (psnd_error *)&calls; /* must be overwritten */              \
        const int got_ = (int)(call);                                                    \
        calls++;                                                                         \
        if (got_ != (int)PSND_STATUS_##expected) {                                       \
            SAY_WRONG("%d instead of " #expected ": " #call, got_);                      \
        }                                                                                \
        if (error == NULL) {                                                             \
            SAY_WRONG("no error from " #call);                                           \
        } else {                                                                         \
            CHECK((int)psnd_error_status(error) == got_);                                \
            CHECK(strcmp(psnd_error_name(error), psnd_status_name(got_)) == 0);          \
            CHECK(strcmp(psnd_error_kind(error), psnd_status_kind(got_)) == 0);          \
            CHECK(strlen(psnd_error_message(error)) > 5);                                \
            if (strstr(psnd_error_json(error), (text)) == NULL) {                        \
                SAY_WRONG("no '%s' in %s: " #call, (text), psnd_error_json(error));      \
            }                                                                            \
            psnd_error_free(error);                                                      \
        }                                                                                \
    } while (0)

/* Text of the library that must hold `part`; frees it. */
#define HOLDS(text, part)                                                                \
    do {                                                                                 \
        char *text_ = (text);                                                            \
        CHECK(text_ != NULL);                                                            \
        if (text_ != NULL && strstr(text_, (part)) == NULL) {                            \
            SAY_WRONG("no '%s' in %.200s", (part), text_);                               \
        }                                                                                \
        psnd_string_free(text_);                                                         \
        (text) = NULL;                                                                   \
    } while (0)

/* Where tests may write; the recording that they may read. */
extern const char *folder;
extern const char *recording;

/* `folder`/name, in one of a few static buffers. */
const char *in_folder(const char *name);

/* One second of quiet noise, stereo, 48 kHz. */
#define FRAMES 48000
extern float left[FRAMES];
extern float right[FRAMES];
extern float *both[2];
void fill_noise(void);

void test_about(void);
void test_handles(void);
void test_live(void);
void test_audio(void);
void test_engine(void);
void test_streams(void);
void test_calls(void);
void test_events(void);
void test_observe(void);
void test_jobs(void);
void test_pictures(void);
void test_random(void);
void test_threads(void);

#endif
