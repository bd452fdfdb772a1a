/* See lab.h. */
#include "lab.h"

jmp_buf lab_exit;
char lab_why[600];

void fail(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(lab_why, sizeof lab_why, format, arguments);
  va_end(arguments);
  longjmp(lab_exit, 1);
}

/* ---- JSON ---- */

const cJSON *member(const cJSON *object, const char *name)
{
  return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *text_of(const cJSON *object, const char *name, const char *otherwise)
{
  const char *found = cJSON_GetStringValue(member(object, name));
  return found != NULL ? found : otherwise;
}

double number_of(const cJSON *object, const char *name, double otherwise)
{
  const cJSON *found = member(object, name);
  return cJSON_IsNumber(found) ? found->valuedouble : otherwise;
}

void only(const cJSON *object, const char *words)
{
  const cJSON *each;
  cJSON_ArrayForEach(each, object) {
    char padded[80];
    (void)snprintf(padded, sizeof padded, " %s ", each->string);
    if (strstr(words, padded) == NULL)
      fail("unknown key %s", each->string);
  }
}

void compare(const char *what, double found, const char *found_text, const cJSON *wanted)
{
  if (cJSON_IsString(wanted)) {
    if (found_text == NULL || strcmp(found_text, wanted->valuestring) != 0)
      fail("%s is %s, expected %s", what, found_text != NULL ? found_text : "nothing", wanted->valuestring);
  } else if (cJSON_IsObject(wanted)) {
    only(wanted, " at_least at_most ");
    if (found < number_of(wanted, "at_least", found) || found > number_of(wanted, "at_most", found))
      fail("%s is %.0f, not within bounds", what, found);
  } else {
    double number = cJSON_IsBool(wanted) ? (double)cJSON_IsTrue(wanted) : wanted->valuedouble;
    if (found_text != NULL || found != number)
      fail("%s is %.0f, expected %.0f", what, found, number);
  }
}

/* ---- HTTP, usable from any thread ---- */

static size_t take(char *data, size_t one, size_t len, void *user)
{
  struct answer *answer = (struct answer *)user;
  char *grown = (char *)realloc(answer->data, answer->len + len + 1);
  (void)one;
  if (grown == NULL)
    return 0;
  memcpy(grown + answer->len, data, len);
  answer->data = grown;
  answer->len += len;
  grown[answer->len] = 0;
  return len;
}

struct answer http(const char *method, const char *url, const char *body, struct curl_slist *headers)
{
  struct answer answer;
  CURL *curl = curl_easy_init();
  memset(&answer, 0, sizeof answer);
  (void)curl_easy_setopt(curl, CURLOPT_URL, url);
  (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
  if (body != NULL)
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  if (strcmp(method, "HEAD") == 0)
    (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  else
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  if (curl_easy_perform(curl) == CURLE_OK)
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  return answer;
}

/* ---- the cloud ---- */

struct answer control_raw(const struct cloud *cloud, const char *path, const char *body)
{
  char url[400];
  (void)snprintf(url, sizeof url, "%s/_control/%s", cloud->endpoint, path);
  return http(body != NULL ? "POST" : "GET", url, body, curl_slist_append(NULL, "content-type: application/json"));
}

cJSON *control(const struct cloud *cloud, const char *path, const cJSON *body)
{
  char *sent = body != NULL ? cJSON_PrintUnformatted(body) : NULL;
  struct answer answer = control_raw(cloud, path, sent);
  cJSON *found = answer.status == 200 ? cJSON_Parse(answer.data) : NULL;
  free(sent);
  free(answer.data);
  return found;
}

void tell(const struct cloud *cloud, const char *path, const cJSON *body)
{
  cJSON *found = control(cloud, path, body);
  if (found == NULL)
    fail("the cloud refuses %s", path);
  cJSON_Delete(found);
}

void cloud_start(struct cloud *cloud)
{
  int to[2], from[2];
  char line[4096];
  FILE *said;
  if (pipe(to) != 0 || pipe(from) != 0)
    fail("no pipe");
  cloud->process = fork();
  if (cloud->process == 0) {
    (void)dup2(to[0], STDIN_FILENO);
    (void)dup2(from[1], STDOUT_FILENO);
    (void)close(to[1]);
    (void)close(from[0]);
    (void)execl(getenv("OUTLAST_CLOUD"), "outlast-cloud", (char *)NULL);
    _exit(127);
  }
  (void)close(to[0]);
  (void)close(from[1]);
  cloud->keep = to[1];
  said = fdopen(from[0], "r");
  if (said == NULL || fgets(line, sizeof line, said) == NULL)
    fail("OUTLAST_CLOUD does not start");
  (void)fclose(said);
  cloud->facts = cJSON_Parse(line);
  cloud->endpoint = text_of(cloud->facts, "endpoint", "");
}

void cloud_stop(struct cloud *cloud)
{
  if (cloud->process > 0) {
    (void)close(cloud->keep);
    (void)waitpid(cloud->process, NULL, 0);
  }
  cJSON_Delete(cloud->facts);
}

void digest(const char *data, size_t len, char hex[65])
{
  unsigned char sum[SHA256_DIGEST_LENGTH];
  int at;
  (void)SHA256((const unsigned char *)data, len, sum);
  for (at = 0; at < SHA256_DIGEST_LENGTH; at++)
    (void)snprintf(hex + 2 * at, 3, "%02x", sum[at]);
}

char *read_file(const char *path, size_t *len)
{
  FILE *file = fopen(path, "rb");
  char *data = NULL;
  long size = -1;
  if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0)
    data = (char *)malloc((size_t)size + 1);
  if (data != NULL) {
    *len = fread(data, 1, (size_t)size, file);
    data[*len] = 0;
  }
  if (file != NULL)
    (void)fclose(file);
  return data;
}
