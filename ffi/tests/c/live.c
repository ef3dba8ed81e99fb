/* Chain, meter, resampler: right and wrong. */
#include <math.h>

#include "check.h"

static const char *const gain = "[{\"type\": \"gain\", \"gain_db\": -6}]";

static void test_chain(void) {
    psnd_chain chain = 0;
    float flat[2 * 480];
    float kept[480];
    float *null_inside[2] = {left, NULL};
    float *same[2] = {left, left};
    size_t frames = 99, frame;

    /* Making one. */
    FAILS(INVALID_VALUE, "out_chain", psnd_chain_new(gain, 48000, "stereo", 480, NULL, &error));
    FAILS(INVALID_VALUE, "\"layout\"", psnd_chain_new(gain, 48000, NULL, 480, &chain, &error));
    FAILS(INVALID_VALUE, "\"layout\"", psnd_chain_new(gain, 48000, "5.2", 480, &chain, &error));
    FAILS(INVALID_VALUE, "\"layout\"", psnd_chain_new(gain, 48000, "0", 480, &chain, &error));
    FAILS(OUT_OF_RANGE, "\"channels\"", psnd_chain_new(gain, 48000, "65535", 480, &chain, &error));
    FAILS(OUT_OF_RANGE, "\"rate_hz\"", psnd_chain_new(gain, 0, "stereo", 480, &chain, &error));
    FAILS(OUT_OF_RANGE, "\"max_frames\"", psnd_chain_new(gain, 48000, "stereo", 0, &chain, &error));
    FAILS(OUT_OF_RANGE, "\"max_frames\"", psnd_chain_new(gain, 48000, "stereo", SIZE_MAX, &chain, &error));
    FAILS(INVALID_VALUE, "JSON", psnd_chain_new("[", 48000, "stereo", 480, &chain, &error));
    FAILS(INVALID_VALUE, "\"filters\"", psnd_chain_new("{}", 48000, "stereo", 480, &chain, &error));
    FAILS(INVALID_VALUE, "UTF-8", psnd_chain_new("[\"\xff\"]", 48000, "stereo", 480, &chain, &error));
    FAILS(UNKNOWN_NAME, "\"suggestion\":\"limiter\"", psnd_chain_new("[\"limitr\"]", 48000, "stereo", 480, &chain, &error));
    FAILS(OUT_OF_RANGE, "\"max\":60.0", psnd_chain_new("[\"gain:gain_db=61\"]", 48000, "stereo", 480, &chain, &error));
    FAILS(UNSUPPORTED, "reverse", psnd_chain_new("[\"reverse\"]", 48000, "stereo", 480, &chain, &error));
    FAILS(UNSUPPORTED, "48000 Hz mono", psnd_chain_new("[\"stereo_to_mono\"]", 48000, "stereo", 480, &chain, &error));
    CHECK(chain == 0);

    /* Working in place: a gain of -6 dB is a factor of 0.501187. */
    OK(psnd_chain_new(gain, 48000, "stereo", 480, &chain, NULL));
    memcpy(kept, left, sizeof kept);
    OK(psnd_chain_process(chain, (float *const *)both, 2, 480, NULL));
    for (frame = 0; frame < 480; frame++) {
        CHECK(left[frame] == kept[frame] * 0.501187233627272f);
    }
    for (frame = 0; frame < 480; frame++) {
        flat[2 * frame] = kept[frame];
        flat[2 * frame + 1] = (float)frame;
    }
    OK(psnd_chain_process_interleaved(chain, flat, 480, NULL));
    CHECK(flat[0] == left[0] && flat[2 * 479] == left[479]);
    /* More frames than it was made for, none, and numbers that are none. */
    OK(psnd_chain_process(chain, (float *const *)both, 2, FRAMES, NULL));
    OK(psnd_chain_process(chain, (float *const *)both, 2, 0, NULL));
    OK(psnd_chain_process(chain, NULL, 2, 0, NULL));
    OK(psnd_chain_process_interleaved(chain, NULL, 0, NULL));
    flat[0] = (float)NAN;
    flat[3] = (float)INFINITY;
    OK(psnd_chain_process_interleaved(chain, flat, 2, NULL));
    CHECK(flat[0] == 0.0f && flat[3] == 0.0f);
    /* Two channels in one place: not what anybody wants, but harmless. */
    OK(psnd_chain_process(chain, (float *const *)same, 2, 480, NULL));

    FAILS(INVALID_VALUE, "\"channels\"", psnd_chain_process(chain, NULL, 2, 480, &error));
    FAILS(INVALID_VALUE, "channels[1]", psnd_chain_process(chain, (float *const *)null_inside, 2, 480, &error));
    FAILS(OUT_OF_RANGE, "channel_count", psnd_chain_process(chain, (float *const *)both, 1, 480, &error));
    FAILS(OUT_OF_RANGE, "channel_count", psnd_chain_process(chain, (float *const *)both, SIZE_MAX, 480, &error));
    FAILS(OUT_OF_RANGE, "\"frames\"", psnd_chain_process(chain, (float *const *)both, 2, SIZE_MAX, &error));
    FAILS(INVALID_VALUE, "\"samples\"", psnd_chain_process_interleaved(chain, NULL, 1, &error));
    FAILS(OUT_OF_RANGE, "\"frames\"", psnd_chain_process_interleaved(chain, flat, SIZE_MAX / 2, &error));

    /* Parameters. */
    OK(psnd_chain_set_glide_ms(chain, 0.0, NULL));
    OK(psnd_chain_set_parameter(chain, 0, "gain_db", 0.0, NULL));
    memcpy(kept, right, sizeof kept);
    OK(psnd_chain_process(chain, (float *const *)both, 2, 480, NULL));
    CHECK(memcmp(kept, right, sizeof kept) == 0);
    FAILS(OUT_OF_RANGE, "\"filter\"", psnd_chain_set_parameter(chain, 1, "gain_db", 0.0, &error));
    FAILS(UNKNOWN_NAME, "gain_db", psnd_chain_set_parameter(chain, 0, "gain_dB", 0.0, &error));
    FAILS(OUT_OF_RANGE, "\"max\":60.0", psnd_chain_set_parameter(chain, 0, "gain_db", 1e9, &error));
    FAILS(OUT_OF_RANGE, "gain_db", psnd_chain_set_parameter(chain, 0, "gain_db", (double)NAN, &error));
    FAILS(INVALID_VALUE, "gain.invert", psnd_chain_set_parameter(chain, 0, "invert", 1.0, &error));
    FAILS(INVALID_VALUE, "\"parameter\"", psnd_chain_set_parameter(chain, 0, NULL, 1.0, &error));
    FAILS(OUT_OF_RANGE, "glide_ms", psnd_chain_set_glide_ms(chain, -1.0, &error));
    FAILS(OUT_OF_RANGE, "glide_ms", psnd_chain_set_glide_ms(chain, (double)NAN, &error));
    for (frame = 0; frame < 256; frame++) {
        OK(psnd_chain_set_parameter(chain, 0, "gain_db", -1.0, NULL));
    }
    FAILS(UNAVAILABLE, "256", psnd_chain_set_parameter(chain, 0, "gain_db", -1.0, &error));

    OK(psnd_chain_reset(chain, NULL));
    OK(psnd_chain_tail_frames(chain, &frames, NULL));
    CHECK(frames == 0);
    OK(psnd_chain_finish(chain, (float *const *)both, 2, 480, &frames, NULL));
    CHECK(frames == 0);
    OK(psnd_chain_finish(chain, NULL, 2, 0, &frames, NULL));
    FAILS(INVALID_VALUE, "out_frames", psnd_chain_finish(chain, (float *const *)both, 2, 480, NULL, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_chain_latency_frames(chain, NULL, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_chain_tail_frames(chain, NULL, &error));
    OK(psnd_chain_free(chain));
    fill_noise();
}

static void test_meter(void) {
    psnd_meter meter = 0;
    double lufs = 1.0;
    uint64_t count = 1;
    char *text = NULL;
    FAILS(INVALID_VALUE, "out_meter", psnd_meter_new(48000, "stereo", NULL, NULL, &error));
    FAILS(INVALID_VALUE, "\"layout\"", psnd_meter_new(48000, "quadro", NULL, &meter, &error));
    FAILS(OUT_OF_RANGE, "rate_hz", psnd_meter_new(0, "stereo", NULL, &meter, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_meter_new(48000, "stereo", "{\"dual\": true}", &meter, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_meter_new(48000, "stereo", "nonsense", &meter, &error));
    OK(psnd_meter_new(48000, "stereo", "{\"range\": false}", &meter, NULL));
    OK(psnd_meter_integrated_lufs(meter, &lufs, NULL));
    CHECK(isinf(lufs) && lufs < 0.0);
    OK(psnd_meter_push(meter, (const float *const *)both, 2, FRAMES, NULL));
    OK(psnd_meter_push_interleaved(meter, left, FRAMES / 2, NULL));
    OK(psnd_meter_push(meter, NULL, 2, 0, NULL));
    OK(psnd_meter_frames(meter, &count, NULL));
    CHECK(count == FRAMES + FRAMES / 2);
    OK(psnd_meter_momentary_lufs(meter, &lufs, NULL));
    CHECK(lufs > -30.0 && lufs < 0.0);
    OK(psnd_meter_short_term_lufs(meter, &lufs, NULL));
    CHECK(lufs > -40.0 && lufs < 0.0);
    OK(psnd_meter_summary(meter, &text, NULL));
    HOLDS(text, "\"frames\":72000");
    FAILS(INVALID_VALUE, "out_json", psnd_meter_summary(meter, NULL, &error));
    FAILS(INVALID_VALUE, "out_lufs", psnd_meter_momentary_lufs(meter, NULL, &error));
    FAILS(INVALID_VALUE, "out_lufs", psnd_meter_short_term_lufs(meter, NULL, &error));
    FAILS(INVALID_VALUE, "out_lufs", psnd_meter_integrated_lufs(meter, NULL, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_meter_frames(meter, NULL, &error));
    FAILS(OUT_OF_RANGE, "channel_count", psnd_meter_push(meter, (const float *const *)both, 3, 1, &error));
    FAILS(INVALID_VALUE, "\"channels\"", psnd_meter_push(meter, NULL, 2, 1, &error));
    FAILS(INVALID_VALUE, "\"samples\"", psnd_meter_push_interleaved(meter, NULL, 1, &error));
    OK(psnd_meter_reset(meter, NULL));
    OK(psnd_meter_frames(meter, &count, NULL));
    CHECK(count == 0);
    OK(psnd_meter_free(meter));
}

static void test_resampler(void) {
    psnd_resampler resampler = 0;
    static float out_left[FRAMES], out_right[FRAMES], flat[2 * FRAMES];
    float *out[2];
    float *wrong[2];
    size_t room = 0, got = 0, total = 0;
    out[0] = wrong[0] = out_left;
    out[1] = out_right;
    wrong[1] = NULL;
    FAILS(INVALID_VALUE, "out_resampler", psnd_resampler_new(48000, 44100, 2, NULL, NULL, &error));
    FAILS(OUT_OF_RANGE, "in_rate_hz", psnd_resampler_new(0, 44100, 2, NULL, &resampler, &error));
    FAILS(OUT_OF_RANGE, "out_rate_hz", psnd_resampler_new(48000, 0, 2, NULL, &resampler, &error));
    FAILS(OUT_OF_RANGE, "ratio", psnd_resampler_new(48000, 1, 2, NULL, &resampler, &error));
    FAILS(OUT_OF_RANGE, "channels", psnd_resampler_new(48000, 44100, 0, NULL, &resampler, &error));
    FAILS(OUT_OF_RANGE, "channels", psnd_resampler_new(48000, 44100, SIZE_MAX, NULL, &resampler, &error));
    FAILS(INVALID_VALUE, "\"quality\"", psnd_resampler_new(48000, 44100, 2, "goood", &resampler, &error));
    OK(psnd_resampler_new(48000, 24000, 2, "fast", &resampler, NULL));
    OK(psnd_resampler_max_output_frames(resampler, 9600, &room, NULL));
    CHECK(room >= 4800 && room < FRAMES);
    FAILS(INVALID_VALUE, "out_frames", psnd_resampler_max_output_frames(resampler, 9600, NULL, &error));
    /* A buffer that is too short is told before anything is converted. */
    FAILS(OUT_OF_RANGE, "capacity_frames",
          psnd_resampler_process(resampler, (const float *const *)both, 2, 9600, (float *const *)out, room - 1, &got, &error));
    FAILS(OUT_OF_RANGE, "capacity_frames", psnd_resampler_process_interleaved(resampler, left, 9600, flat, 0, &got, &error));
    FAILS(OUT_OF_RANGE, "channel_count",
          psnd_resampler_process(resampler, (const float *const *)both, 1, 9600, (float *const *)out, room, &got, &error));
    FAILS(INVALID_VALUE, "\"channels\"",
          psnd_resampler_process(resampler, NULL, 2, 9600, (float *const *)out, room, &got, &error));
    FAILS(INVALID_VALUE, "channels[1]",
          psnd_resampler_process(resampler, (const float *const *)both, 2, 9600, (float *const *)wrong, room, &got, &error));
    FAILS(INVALID_VALUE, "out_frames",
          psnd_resampler_process(resampler, (const float *const *)both, 2, 9600, (float *const *)out, room, NULL, &error));
    CHECK(got == 0);
    OK(psnd_resampler_process(resampler, (const float *const *)both, 2, 9600, (float *const *)out, room, &got, NULL));
    total += got;
    OK(psnd_resampler_process_interleaved(resampler, left, 9600, flat, FRAMES, &got, NULL));
    total += got;
    do {
        OK(psnd_resampler_finish(resampler, (float *const *)out, 2, 1000, &got, NULL));
        CHECK(got <= 1000);
        total += got;
    } while (got > 0);
    CHECK(total == 9600);
    OK(psnd_resampler_finish_interleaved(resampler, flat, 10, &got, NULL));
    CHECK(got == 0);
    FAILS(INVALID_VALUE, "\"samples\"", psnd_resampler_finish_interleaved(resampler, NULL, 10, &got, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_resampler_finish(resampler, (float *const *)out, 2, 10, NULL, &error));
    OK(psnd_resampler_reset(resampler, NULL));
    OK(psnd_resampler_process(resampler, NULL, 2, 0, (float *const *)out, room, &got, NULL));
    CHECK(got == 0);
    OK(psnd_resampler_free(resampler));
}

void test_live(void) {
    test_chain();
    test_meter();
    test_resampler();
}
