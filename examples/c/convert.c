/* Converts a recording, with a preset if you like, and shows how far it is. Ctrl-C stops it and leaves nothing behind.
 *
 *     convert talk.mp3 talk.opus podcast
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <puresound.h>

static volatile sig_atomic_t stop;

static void on_interrupt(int number) {
    (void)number;
    stop = 1;
}

/* Anything but 0 cancels the call. */
static int32_t on_progress(void *user_data, const psnd_progress *progress) {
    (void)user_data;
    fprintf(stderr, "\r%-8s %3.0f %%", progress->stage, 100.0 * progress->fraction);
    return stop;
}

/* Says what went wrong, and frees it. */
static int failed(psnd_error *error) {
    fprintf(stderr, "\n%s: %s\n", psnd_error_name(error), psnd_error_message(error));
    psnd_error_free(error);
    return EXIT_FAILURE;
}

/* Appends text as a JSON string. */
static int append_json(char *to, size_t room, const char *text) {
    size_t at = strlen(to);
    to[at++] = '"';
    for (; *text != '\0'; text++) {
        if (at + 8 > room) {
            return 0;
        }
        if (*text == '"' || *text == '\\') {
            to[at++] = '\\';
            to[at++] = *text;
        } else if ((unsigned char)*text < 0x20) {
            at += (size_t)sprintf(to + at, "\\u%04x", (unsigned)*text);
        } else {
            to[at++] = *text;
        }
    }
    strcpy(to + at, "\"");
    return 1;
}

int main(int argc, char **argv) {
    psnd_engine engine = 0;
    psnd_error *error = NULL;
    psnd_input input = PSND_INPUT_INIT;
    psnd_call call = PSND_CALL_INIT;
    char request[8192] = "{\"output\": ", *report = NULL;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s INPUT OUTPUT [PRESET]\n", argv[0]);
        return 2;
    }
    if (psnd_abi_version() != PSND_ABI_VERSION) {
        fprintf(stderr, "libpuresound is %s, this program was built for %s\n", psnd_version(), PSND_VERSION);
        return EXIT_FAILURE;
    }
    if (!append_json(request, sizeof request - 32, argv[2])) {
        fprintf(stderr, "the name of the output is too long\n");
        return 2;
    }
    if (argc == 4) {
        strcat(request, ", \"preset\": ");
        if (!append_json(request, sizeof request - 2, argv[3])) {
            fprintf(stderr, "the name of the preset is too long\n");
            return 2;
        }
    }
    strcat(request, "}");

    signal(SIGINT, on_interrupt);
    input.path = argv[1];
    call.progress = on_progress;
    if (psnd_engine_new(NULL, &engine, &error) != PSND_STATUS_OK) {
        return failed(error);
    }
    if (psnd_engine_process(engine, &input, request, &call, &report, &error) != PSND_STATUS_OK) {
        psnd_engine_free(engine);
        return failed(error);
    }
    fprintf(stderr, "\n");
    puts(report); /* what was done, as JSON */
    psnd_string_free(report);
    psnd_engine_free(engine);
    return EXIT_SUCCESS;
}
