/* Loads the library and lets it go again and again, as hosts of plug-ins do; and sees that it leaves the signals of its host alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 100
#define SIGNALS 65

typedef int32_t (*engine_new)(const char *settings, uint64_t *out_engine, void *out_error);
typedef int32_t (*engine_process)(uint64_t engine, const void *input, const char *request, const void *call, char **out_report,
                                  uint64_t *out_outputs, void *out_error);
typedef int32_t (*handle_free)(uint64_t handle);
typedef void (*string_free)(char *text);

static int find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static void actions(struct sigaction *into) {
    int number;
    memset(into, 0, SIGNALS * sizeof *into);
    for (number = 1; number < SIGNALS; number++) {
        (void)sigaction(number, NULL, &into[number]);
    }
}

int main(int argc, char **argv) {
    static struct sigaction before[SIGNALS], after[SIGNALS];
    int round, number, changed = 0;
    if (argc != 3) {
        return 2;
    }
    actions(before);
    for (round = 0; round < ROUNDS; round++) {
        engine_new make;
        engine_process process;
        handle_free engine_free, outputs_free;
        string_free text_free;
        uint64_t engine = 0, outputs = 0;
        char request[2048], *report = NULL;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL || !find(library, "psnd_engine_new", &make) || !find(library, "psnd_engine_free", &engine_free) ||
            !find(library, "psnd_engine_process_to_memory", &process) || !find(library, "psnd_outputs_free", &outputs_free) ||
            !find(library, "psnd_string_free", &text_free)) {
            printf("round %d: %s\n", round, dlerror());
            return 1;
        }
        snprintf(request, sizeof request, "{\"input\": \"%s\", \"trim\": {\"end_s\": 0.1}, \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}",
                 argv[2]);
        if (make(NULL, &engine, NULL) != 0 || process(engine, NULL, request, NULL, &report, &outputs, NULL) != 0) {
            printf("round %d: no run\n", round);
            return 1;
        }
        text_free(report);
        if (outputs_free(outputs) != 0 || engine_free(engine) != 0 || engine_free(engine) == 0 || dlclose(library) != 0) {
            printf("round %d: not freed\n", round);
            return 1;
        }
    }
    actions(after);
    for (number = 1; number < SIGNALS; number++) {
        if (before[number].sa_handler != after[number].sa_handler || before[number].sa_flags != after[number].sa_flags) {
            printf("signal %d is handled otherwise\n", number);
            changed++;
        }
    }
    printf("%d rounds, %d signals changed\n", ROUNDS, changed);
    return changed;
}
