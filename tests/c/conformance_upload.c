/* Steps about uploads: sources, starting, waiting. */
#include "conformance.h"

static int64_t read_source(uint8_t *buffer, size_t capacity, void *user)
{
  struct stage *stage = (struct stage *)user;
  size_t len = stage->len - stage->at;
  len = len < capacity ? len : capacity;
  len = len < PIECE ? len : PIECE;
  if (len > 0)
    memcpy(buffer, stage->data + stage->at, len);
  stage->at += len;
  return (int64_t)len;
}

void end_upload(struct stage *stage)
{
  outlast_upload_free(stage->upload);
  outlast_writer_free(stage->writer);
  if (stage->open_file >= 0)
    (void)close(stage->open_file);
  free(stage->data);
  stage->upload = NULL;
  stage->writer = NULL;
  stage->data = NULL;
  stage->open_file = -1;
}

static void make_source(struct stage *stage, const cJSON *source, outlast_upload_options *options, char *path, size_t room)
{
  const char *kind = text_of(source, "kind", "");
  uint64_t seed = (uint64_t)number_of(source, "seed", 0), at;
  outlast_error *error = NULL;
  only(source, " kind bytes seed ");
  stage->len = (size_t)number_of(source, "bytes", 0);
  stage->at = 0;
  stage->data = (char *)malloc(stage->len + 1);
  for (at = 0; at < stage->len; at++)
    stage->data[at] = (char)(unsigned char)((seed + at + 7 * (at >> 8) + 13 * (at >> 16)) & 255);
  (void)snprintf(path, room, "%s/source-%lu-%lu", stage->dir, (unsigned long)seed, (unsigned long)stage->len);
  if ((strcmp(kind, "path") == 0 || strcmp(kind, "fd") == 0) && access(path, F_OK) != 0) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(stage->data, 1, stage->len, file) != stage->len || fclose(file) != 0)
      fail("cannot write %s", path);
  }
  if (strcmp(kind, "path") == 0) {
    options->source = OUTLAST_SOURCE_PATH;
    options->file = outlast_text(path);
  } else if (strcmp(kind, "fd") == 0) {
    options->source = OUTLAST_SOURCE_FD;
    options->file = outlast_text(path);
    options->fd = stage->open_file = open(path, O_RDONLY | O_CLOEXEC);
  } else if (strcmp(kind, "bytes") == 0) {
    options->source = OUTLAST_SOURCE_BYTES;
    options->bytes.data = stage->data;
    options->bytes.len = stage->len;
  } else if (strcmp(kind, "stream") == 0) {
    options->source = OUTLAST_SOURCE_READ;
    options->read_fn = read_source;
    options->source_data = stage;
  } else if (strcmp(kind, "writer") == 0) {
    must("writer", outlast_writer_new(&stage->writer, &error), error);
    options->source = OUTLAST_SOURCE_WRITER;
    options->writer = stage->writer;
  } else {
    fail("unknown source %s", kind);
  }
}

void start(struct stage *stage, const cJSON *step)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  const cJSON *chosen = member(step, "options");
  const char *on_failure = text_of(chosen, "on_failure", "");
  outlast_error *error = NULL;
  outlast_status status;
  char path[200];
  size_t len;
  only(step, " do object bucket source options ");
  only(chosen, " part_size_bytes parallel_upload_count no_multipart no_overwrite if_match on_failure ");
  end_upload(stage);
  options.namespace_name = outlast_text(text_of(stage->cloud.facts, "namespace", NULL));
  options.bucket_name = outlast_text(text_of(step, "bucket", member(stage->cloud.facts, "buckets")->child->valuestring));
  options.name = outlast_text(text_of(step, "object", NULL));
  options.part_size_bytes = (uint64_t)number_of(chosen, "part_size_bytes", 0);
  options.parallel_upload_count = (uint32_t)number_of(chosen, "parallel_upload_count", 0);
  options.no_multipart = (uint32_t)cJSON_IsTrue(member(chosen, "no_multipart"));
  options.no_overwrite = (uint32_t)cJSON_IsTrue(member(chosen, "no_overwrite"));
  options.if_match = outlast_text(text_of(chosen, "if_match", NULL));
  options.on_failure = strcmp(on_failure, "abort") == 0 ? OUTLAST_ON_FAILURE_ABORT : 0;
  options.events = stage->queue;
  make_source(stage, member(step, "source"), &options, path, sizeof path);
  memset(stage->events, 0, sizeof stage->events);
  stage->ended = 0;
  stage->began_ms = now_ms();
  status = outlast_upload_start(stage->client, stage->session, &options, &stage->upload, &error);
  note(stage, status, error);
  if (stage->writer == NULL || stage->upload == NULL)
    return;
  for (stage->at = 0; stage->at < stage->len && status == OUTLAST_OK; stage->at += len) {
    size_t left = stage->len - stage->at;
    status = outlast_writer_write(stage->writer, (const uint8_t *)stage->data + stage->at, left < PIECE ? left : PIECE,
                                  LIMIT_MS, &len, NULL);
  }
  (void)outlast_writer_finish(stage->writer, NULL);
}

/* Takes events until so many of the kind have come, or the upload's last one. */
void until(struct stage *stage, uint32_t kind, unsigned count)
{
  uint64_t number = outlast_upload_number(stage->upload);
  while (stage->upload != NULL && !stage->ended && stage->events[kind] < count) {
    OUTLAST_STRUCT(outlast_event, event);
    outlast_status status = outlast_queue_next(stage->queue, LIMIT_MS, &event, NULL);
    if (status != OUTLAST_OK)
      fail("no event for two minutes: %s", outlast_status_name(status));
    if (event.kind < sizeof stage->events / sizeof *stage->events)
      stage->events[event.kind]++;
    stage->ended = event.kind == OUTLAST_EVENT_FINISHED && event.upload == number;
    outlast_event_clear(&event);
  }
}

void wait_for(struct stage *stage, const cJSON *expect)
{
  static const char *const retries[] = {"never", "later", "after-sign-in", "exhausted"};
  OUTLAST_STRUCT(outlast_upload_result, result);
  const cJSON *each, *kind;
  until(stage, 0, 1); /* no event is of kind 0: to the end */
  if (stage->upload != NULL) {
    outlast_error *error = NULL;
    outlast_status status = outlast_upload_wait(stage->upload, LIMIT_MS, &result, &error);
    note(stage, status, error);
  }
  cJSON_ArrayForEach(each, expect) {
    const char *name = each->string;
    double found = -1;
    const char *found_text = NULL;
    char what[400];
    if (strcmp(name, "status") == 0) {
      found_text = outlast_status_name(stage->status);
    } else if (strcmp(name, "retry") == 0) {
      found_text = retries[stage->retry];
    } else if (strcmp(name, "http_status") == 0) {
      found = stage->http_status;
    } else if (strcmp(name, "resumable") == 0) {
      found = outlast_upload_is_resumable(stage->upload);
    } else if (strcmp(name, "took_ms") == 0) {
      found = now_ms() - stage->began_ms;
    } else if (strcmp(name, "events") == 0) {
      cJSON_ArrayForEach(kind, each) compare(kind->string, stage->events[event_kind(kind->string)], NULL, kind);
      continue;
    } else if (stage->status == OUTLAST_OK) {
      if (strcmp(name, "bytes") == 0)
        found = (double)result.object_bytes;
      else if (strcmp(name, "parts") == 0)
        found = result.parts;
      else if (strcmp(name, "parts_reused") == 0)
        found = result.parts_reused;
      else if (strcmp(name, "retries") == 0)
        found = result.retries;
      else if (strcmp(name, "refusals") == 0)
        found = result.refusals;
      else if (strcmp(name, "verified") == 0)
        found = result.verified;
      if (found < 0)
        fail("unknown expectation %s", name);
    }
    (void)snprintf(what, sizeof what, "%s%s%s", name, stage->message[0] != 0 ? " of: " : "", stage->message);
    compare(what, found, found_text, each);
  }
}
