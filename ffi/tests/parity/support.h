/* What the parity runners of C and C++ share: signals, digests, files. See tests/parity/README.md. */
#ifndef PARITY_SUPPORT_H
#define PARITY_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* SHA-256, FIPS 180-4. */
typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} sha256;
void sha256_start(sha256 *self);
void sha256_add(sha256 *self, const void *data, size_t size);
/* 64 digits and a NUL. */
void sha256_end(sha256 *self, char *hex);

/* Adds interleaved samples, little-endian, of planar arrays. */
void sha256_add_planar(sha256 *self, const float *const *channels, size_t channel_count, size_t frames);

/* Bytes of base64 (RFC 4648) in new memory. */
unsigned char *base64_decode(const char *text, size_t *size);

/* All bytes of a file in new memory; NULL when it cannot be read. */
unsigned char *read_file(const char *path, size_t *size);

/* Fills one channel of a signal; 0 for a kind that is not known. `number` is the seed, period or place. */
int fill_signal(const char *kind, uint32_t number, float gain, size_t channel, float *samples, size_t frames);

/* A new empty folder; its path in new memory. */
char *make_folder(void);
/* Calls `each` with the names in a folder, sorted. */
void list_folder(const char *folder, void (*each)(void *context, const char *name), void *context);
void remove_folder(const char *folder);

#ifdef __cplusplus
}
#endif

#endif
