/* What the conformance runner needs besides Outlast: JSON, HTTP, a loopback cloud, and a way out when something is not as told. */
#ifndef LAB_H
#define LAB_H

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a scenario that fails goes on, and why it failed. Main thread only. */
extern jmp_buf lab_exit;
extern char lab_why[600];

#if defined(__GNUC__)
__attribute__((noreturn, format(printf, 1, 2)))
#endif
void fail(const char *format, ...);

/* ---- JSON ---- */

const cJSON *member(const cJSON *object, const char *name);

const char *text_of(const cJSON *object, const char *name, const char *otherwise);

double number_of(const cJSON *object, const char *name, double otherwise);

/* Fails for a key that is none of the words. */
void only(const cJSON *object, const char *words);

/* A number, a boolean, a text, or {"at_least", "at_most"}. `found_text` NULL: compares numbers. */
void compare(const char *what, double found, const char *found_text, const cJSON *wanted);

/* ---- HTTP, usable from any thread ---- */

struct answer {
  long status;
  char *data;
  size_t len;
};

/* `body` NULL: none is sent. `headers` is consumed. Status 0: no answer. Free `data`. */
struct answer http(const char *method, const char *url, const char *body, struct curl_slist *headers);

/* ---- the cloud ---- */

struct cloud {
  pid_t process;
  int keep; /* it ends when this is closed */
  cJSON *facts;
  const char *endpoint;
};

struct answer control_raw(const struct cloud *cloud, const char *path, const char *body);

/* The answer's JSON, the caller's to delete; NULL if there is none. */
cJSON *control(const struct cloud *cloud, const char *path, const cJSON *body);

void tell(const struct cloud *cloud, const char *path, const cJSON *body);

void cloud_start(struct cloud *cloud);

void cloud_stop(struct cloud *cloud);

void digest(const char *data, size_t len, char hex[65]);

/* The whole file, NUL-terminated; NULL if it cannot be read. */
char *read_file(const char *path, size_t *len);

#endif
