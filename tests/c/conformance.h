/* What the parts of the conformance runner share: a scenario's stage. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <time.h>

#include "lab.h"
#include "outlast.h"

#define LIMIT_MS 120000
#define PIECE 70001

struct stage {
  struct cloud cloud;
  char dir[64];
  char key_file[300];
  char config_file[300];
  outlast_client *client;
  outlast_queue *queue;
  outlast_session *session;
  outlast_upload *upload;
  outlast_writer *writer;
  char *data;          /* of the source */
  size_t len, at;      /* its bytes, and how many of them have been read */
  int open_file;       /* of the source; -1 for none */
  uint64_t generation; /* of the last token or signature */
  double began_ms;
  int ended;
  unsigned events[64];
  /* What the upload ended with, or starting it. */
  outlast_status status;
  int32_t retry, http_status;
  char message[300];
  /* Of a supplied session; its wishes are answered on a thread of the library. */
  pthread_mutex_t lock;
  int supplies; /* fresh credentials; 0: none without a person */
  int supplied;
};

/* conformance.c */
double now_ms(void);
uint32_t event_kind(const char *name);
/* Remembers a failure and frees it. */
void note(struct stage *stage, outlast_status status, outlast_error *error);
void must(const char *what, outlast_status status, outlast_error *error);

/* conformance_session.c */
void sign_in(struct stage *stage, const cJSON *how);
void choose_supply(struct stage *stage, const char *answer);
/* On a thread of the library: must not fail() but tell the library. */
void supply(const outlast_event *event, void *user);
void open_session(struct stage *stage, const cJSON *step);
void sign(struct stage *stage, const cJSON *step);
void token(struct stage *stage);

/* conformance_upload.c */
void end_upload(struct stage *stage);
void start(struct stage *stage, const cJSON *step);
/* Takes events until so many of the kind have come, or the upload's last one. */
void until(struct stage *stage, uint32_t kind, unsigned count);
void wait_for(struct stage *stage, const cJSON *expect);

#endif
