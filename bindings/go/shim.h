/* What Go calls besides outlast.h.
 *
 * The user_data of callbacks are numbers (cgo.Handle). Go's runtime must never see a number in a pointer's place, so it
 * is turned into one, and back, on this side only. */
#ifndef OUTLAST_GO_SHIM_H
#define OUTLAST_GO_SHIM_H

#include <outlast.h>
#include <stdlib.h>

int64_t outlast_go_read(uint8_t *buffer, size_t capacity, void *user_data);
void outlast_go_release(void *user_data);
void outlast_go_debug(outlast_str line, void *user_data);

/* A descriptor of our own for the same open file; -1 when there is none left. */
int outlast_go_duplicate(int fd);
/* Writes zeros where something secret was; not optimised away. */
void outlast_go_wipe(void *memory, size_t len);

#endif
