/* What the parts of the abuse program share. */
#ifndef ABUSE_H
#define ABUSE_H

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "outlast.h"

extern const char *config, *profile_name, *endpoint, *namespace_name, *bucket, *file;
extern int failures;

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      failures++; \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    } \
  } while (0)

outlast_client *new_client(outlast_queue *queue);
outlast_session *new_session(outlast_client *client);
outlast_upload_options upload_options(const char *name);
void close_and_free(outlast_client *client);

/* abuse_handles.c */
void nulls(void);
void freed_foreign_and_invented(void);
void sizes_and_unknown_values(void);
void options_of_a_profile(void);
void checksums_that_are_vouched_for(void);
void freed_in_every_order(void);

/* abuse_process.c */
void sixty_four_threads_on_one_handle(void);
void fork_in_the_middle(void);
void closed_during_an_upload(void);
void cancelled_as_its_options_say(void);
void a_lifeline_that_is_cut(void);
void sigpipe_is_survived(void);
void all_threads_end(void);

/* abuse_callbacks.c */
void callbacks_that_call_back(void);
void readers_that_fail_or_lie(void);
void credentials_from_nobody(void);

#endif
