#include "shim.h"

#include <fcntl.h>

#include "_cgo_export.h"

int64_t outlast_go_read(uint8_t *buffer, size_t capacity, void *user_data)
{
  return outlastGoRead(buffer, capacity, (uintptr_t)user_data);
}

void outlast_go_release(void *user_data)
{
  outlastGoRelease((uintptr_t)user_data);
}

void outlast_go_debug(outlast_str line, void *user_data)
{
  outlastGoDebug((char *)line.data, line.len, (uintptr_t)user_data);
}

int outlast_go_duplicate(int fd)
{
  return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void outlast_go_wipe(void *memory, size_t len)
{
  volatile unsigned char *at = memory;
  while (len--)
    *at++ = 0;
}
