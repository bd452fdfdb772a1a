/* Session only: signs requests that libcurl sends, and survives a token that is refused.
 *
 * session_curl CONFIG PROFILE ENDPOINT NAMESPACE COUNT  asks for the namespace's buckets COUNT times.
 * Builds as C11 and as C++17. */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "outlast.h"

static size_t discard(char *data, size_t size, size_t count, void *user_data)
{
  (void)data;
  (void)user_data;
  return size * count;
}

static struct curl_slist *headers_of(const outlast_headers *signed_headers)
{
  struct curl_slist *list = NULL;
  char line[70000];
  for (size_t index = 0; index < outlast_headers_count(signed_headers); index++) {
    snprintf(line, sizeof line, "%s: %s", outlast_headers_name(signed_headers, index).data,
             outlast_headers_value(signed_headers, index).data);
    list = curl_slist_append(list, line);
  }
  memset(line, 0, sizeof line);
  return list;
}

/* One request, sent again once if its credential was refused. Returns the HTTP status, 0 for a failure. */
static long get(CURL *curl, outlast_session *session, const char *url)
{
  long status = 0;
  for (int attempt = 0; attempt < 2; attempt++) {
    OUTLAST_STRUCT(outlast_request, request);
    outlast_headers *signed_headers = NULL;
    outlast_error *error = NULL;
    struct curl_slist *list;
    request.method = outlast_text("GET");
    request.url = outlast_text(url);
    if (outlast_session_sign(session, &request, 30000, &signed_headers, &error) != OUTLAST_OK) {
      fprintf(stderr, "sign: %s\n", outlast_error_message(error).data);
      outlast_error_free(error);
      return 0;
    }
    list = headers_of(signed_headers);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    if (curl_easy_perform(curl) == CURLE_OK)
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(list);
    if (status == 401)
      (void)outlast_session_reject(session, outlast_headers_generation(signed_headers), NULL);
    else
      (void)outlast_session_accept(session, outlast_headers_generation(signed_headers), NULL);
    outlast_headers_free(signed_headers);
    if (status != 401)
      break;
  }
  return status;
}

int main(int count, char **arguments)
{
  OUTLAST_STRUCT(outlast_oci_options, profile);
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  CURL *curl;
  char url[1024];
  long good = 0;
  long wanted;

  if (count < 6) {
    fprintf(stderr, "usage: session_curl CONFIG PROFILE ENDPOINT NAMESPACE COUNT\n");
    return 2;
  }
  wanted = strtol(arguments[5], NULL, 10);
  profile.config_file = outlast_text(arguments[1]);
  profile.profile = outlast_text(arguments[2]);
  profile.endpoint = profile.auth_endpoint = outlast_text(arguments[3]);
  snprintf(url, sizeof url, "%s/n/", arguments[3]);
  curl = curl_easy_init();
  if (curl == NULL)
    return 1;
  if (outlast_client_new(NULL, NULL, &client, &error) == OUTLAST_OK
      && outlast_session_open_oci(client, &profile, &session, &error) == OUTLAST_OK) {
    for (long index = 0; index < wanted; index++)
      good += get(curl, session, url) == 200;
  } else {
    fprintf(stderr, "%s\n", outlast_error_message(error).data);
    outlast_error_free(error);
  }
  curl_easy_cleanup(curl);
  outlast_session_free(session);
  (void)outlast_client_close(client, 10000, NULL);
  outlast_client_free(client);
  printf("%ld of %ld requests answered with 200\n", good, wanted);
  return good == wanted ? 0 : 1;
}
