/* Jobs: submitted, done, looked at, steered; and all that wrongly. */
#include "check.h"

/* A copy of the first name of a job in an answer; the caller frees it. */
static char *first_id(const char *answer) {
    const char *at = answer == NULL ? NULL : strstr(answer, "\"id\":\"");
    char *id = calloc(1, 37);
    if (at != NULL && id != NULL && strlen(at) >= 42) {
        memcpy(id, at + 6, 36);
    }
    return id;
}

/* A submission of one recording to `name`, with more members of the object. */
static const char *submission(const char *name, const char *more) {
    static char text[4096];
    snprintf(text, sizeof text, "{\"requests\":[{\"input\":\"%s\",\"output\":\"%s\"}]%s}", recording, in_folder(name), more);
    return text;
}

static void test_done(psnd_engine engine) {
    psnd_jobs jobs = 0, same = 0;
    char *text = NULL, *id;
    char ids[64];
    size_t handed_back = 9;
    bool over = true;
    OK(psnd_jobs_open(engine, in_folder("jobs.db"), &jobs, NULL));
    OK(psnd_jobs_submit(jobs, submission("job.flac", ",\"priority\":5"), &text, NULL));
    id = first_id(text);
    HOLDS(text, "\"batch\":null");
    snprintf(ids, sizeof ids, "[\"%s\"]", id);
    OK(psnd_jobs_wait(jobs, ids, 0.0, NULL, &over, NULL));
    CHECK(!over);
    OK(psnd_jobs_get(jobs, id, &text, NULL));
    HOLDS(text, "\"state\":\"available\"");
    FAILS(CONFLICT, "start first", psnd_jobs_wait(jobs, NULL, 0.0, NULL, &over, &error));
    OK(psnd_jobs_start(jobs, "{\"workers\":1,\"name\":\"c\"}", NULL));
    FAILS(CONFLICT, "stop first", psnd_jobs_start(jobs, NULL, &error));
    OK(psnd_jobs_wait(jobs, ids, 300.0, NULL, &over, NULL));
    CHECK(over);
    OK(psnd_jobs_wait(jobs, NULL, -1.0, NULL, NULL, NULL));
    OK(psnd_jobs_stop(jobs, -1.0, &handed_back, NULL));
    CHECK(handed_back == 0);
    OK(psnd_jobs_stop(jobs, 0.0, NULL, NULL));
    OK(psnd_jobs_history(jobs, id, &text, NULL));
    HOLDS(text, "\"to\":\"succeeded\"");
    OK(psnd_jobs_stats(jobs, &text, NULL));
    HOLDS(text, "\"succeeded\":1");
    /* The same file once more: two doors to the same jobs. */
    OK(psnd_jobs_open(engine, in_folder("jobs.db"), &same, NULL));
    OK(psnd_jobs_list(same, "{\"states\":[\"succeeded\"]}", &text, NULL));
    HOLDS(text, id);
    OK(psnd_jobs_free(same));
    OK(psnd_jobs_free(jobs));
    GIVES(INVALID_HANDLE, psnd_jobs_free(jobs));
    free(id);
}

static void test_steered(psnd_engine engine) {
    psnd_jobs jobs = 0;
    char *text = NULL, *id;
    psnd_call call = PSND_CALL_INIT;
    bool over = false;
    OK(psnd_jobs_open(engine, NULL, &jobs, NULL));
    OK(psnd_jobs_submit(jobs, submission("never.flac", ",\"batch\":\"one\""), &text, NULL));
    {
        /* The first name is that of a job; the batch stands before it. */
        const char *at = strstr(text, "\"batch\":\"");
        char batch[37] = {0};
        CHECK(at != NULL);
        if (at != NULL) {
            char *told = NULL;
            memcpy(batch, at + 9, 36);
            OK(psnd_jobs_batch(jobs, batch, &told, NULL));
            HOLDS(told, "\"name\":\"one\"");
        }
    }
    id = first_id(text);
    psnd_string_free(text);
    OK(psnd_jobs_cancel(jobs, id, "not any more", &text, NULL));
    HOLDS(text, "cancelled");
    OK(psnd_jobs_cancel(jobs, id, NULL, NULL, NULL));
    OK(psnd_jobs_retry(jobs, id, NULL));
    FAILS(CONFLICT, "available", psnd_jobs_retry(jobs, id, &error));
    OK(psnd_jobs_set_gate(jobs, "queue:default", "draining", NULL));
    FAILS(CONFLICT, "drain", psnd_jobs_submit(jobs, submission("x.wav", ""), &text, &error));
    OK(psnd_jobs_set_gate(jobs, "queue:default", "open", NULL));
    OK(psnd_cancel_new(&call.cancel, NULL));
    OK(psnd_cancel_cancel(call.cancel, NULL));
    FAILS(CANCELLED, "ancelled", psnd_jobs_wait(jobs, NULL, -1.0, &call, &over, &error));
    OK(psnd_cancel_free(call.cancel));
    /* What runs when it is freed is handed back. */
    OK(psnd_jobs_start(jobs, NULL, NULL));
    OK(psnd_jobs_free(jobs));
    free(id);
}

static void test_wrong(psnd_engine engine) {
    psnd_jobs jobs = 0;
    char *text = NULL;
    bool over = false;
    FAILS(INVALID_VALUE, "out_jobs", psnd_jobs_open(engine, NULL, NULL, &error));
    FAILS(MALFORMED, "", psnd_jobs_open(engine, recording, &jobs, &error));
    FAILS(UNSUPPORTED, "postgres", psnd_jobs_open(engine, "postgres://nobody@127.0.0.1:1/none", &jobs, &error));
    FAILS(INVALID_VALUE, "\"database\"", psnd_jobs_open(engine, "\xff\xfe", &jobs, &error));
    CHECK(jobs == 0);
    OK(psnd_jobs_open(engine, NULL, &jobs, NULL));
    FAILS(INVALID_VALUE, "\"submission\"", psnd_jobs_submit(jobs, NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"submission\"", psnd_jobs_submit(jobs, "7", &text, &error));
    FAILS(INVALID_VALUE, "\"requests\"", psnd_jobs_submit(jobs, "{}", &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_jobs_submit(jobs, submission("x.wav", ""), NULL, &error));
    FAILS(OUT_OF_RANGE, "priority", psnd_jobs_submit(jobs, submission("x.wav", ",\"priority\":-101"), &text, &error));
    FAILS(INVALID_VALUE, "\"id\"", psnd_jobs_get(jobs, NULL, &text, &error));
    FAILS(INVALID_VALUE, "UUID", psnd_jobs_get(jobs, "one", &text, &error));
    FAILS(UNKNOWN_NAME, "018f6d2e", psnd_jobs_get(jobs, "018f6d2e-0000-7000-8000-000000000000", &text, &error));
    FAILS(UNKNOWN_NAME, "018f6d2e", psnd_jobs_history(jobs, "018f6d2e-0000-7000-8000-000000000000", &text, &error));
    FAILS(UNKNOWN_NAME, "018f6d2e", psnd_jobs_batch(jobs, "018f6d2e-0000-7000-8000-000000000000", &text, &error));
    FAILS(UNKNOWN_NAME, "018f6d2e", psnd_jobs_cancel(jobs, "018f6d2e-0000-7000-8000-000000000000", NULL, NULL, &error));
    FAILS(INVALID_VALUE, "\"filter\"", psnd_jobs_list(jobs, "{\"stats\":[]}", &text, &error));
    FAILS(INVALID_VALUE, "\"scope\"", psnd_jobs_set_gate(jobs, "queues:x", "open", &error));
    FAILS(INVALID_VALUE, "\"gate\"", psnd_jobs_set_gate(jobs, "all", "ajar", &error));
    FAILS(INVALID_VALUE, "\"gate\"", psnd_jobs_set_gate(jobs, "all", NULL, &error));
    FAILS(OUT_OF_RANGE, "threads", psnd_jobs_start(jobs, "{\"workers\":5000}", &error));
    FAILS(INVALID_VALUE, "\"ids\"", psnd_jobs_wait(jobs, "[1]", 0.0, NULL, &over, &error));
    FAILS(INVALID_VALUE, "timeout_s", psnd_jobs_wait(jobs, "[]", 1e300, NULL, &over, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_jobs_stats(jobs, NULL, &error));
    OK(psnd_jobs_free(jobs));
    OK(psnd_jobs_free(0));
}

static void test_analyse(psnd_engine engine) {
    psnd_input input = PSND_INPUT_INIT;
    char *text = NULL;
    input.path = recording;
    OK(psnd_engine_analyse(engine, &input, "{\"analysis\":{\"features\":{\"pitch\":false}}}", NULL, &text, NULL));
    HOLDS(text, "\"centroid_hz\"");
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_analyse(engine, &input, "{\"pitch\":false}", NULL, &text, &error));
    FAILS(OUT_OF_RANGE, "n_mfcc",
          psnd_engine_analyse(engine, &input, "{\"analysis\":{\"features\":{\"n_mfcc\":0}}}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_analyse(engine, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_analyse(engine, &input, NULL, NULL, NULL, &error));
}

void test_jobs(void) {
    psnd_engine engine = 0;
    OK(psnd_engine_new("{\"engine\":{\"threads\":1}}", &engine, NULL));
    test_done(engine);
    test_steered(engine);
    test_wrong(engine);
    test_analyse(engine);
    OK(psnd_engine_free(engine));
}
