/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - options of NATS: checked, copied, handed to the client library.
 * Threads     Each object is one thread's at a time.
 * Invariants  What is handed to the client library was checked before, so a
 *             refusal there is about a file or an address.
 * Ordering    None.
 * Progress    Files of credentials and certificates are read when connecting.
 * Rejected    An option to skip the verification of servers: who wants it makes
 *             an authority of his own in three lines.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "skua/exception.h"

#include "../../memory.h"

enum {
    DEFAULT_CONNECT_MS = 2000,
    DEFAULT_RECONNECT_MS = 250,
    DEFAULT_PING_MS = 10000,
    DEFAULT_MAX_DELIVER = 5,
    JITTER_MS = 100,
    PINGS_OUT = 2,
};
#define DEFAULT_ACK_WAIT (5 * SKUA_S)
#define SMALLEST_ACK_WAIT (100 * SKUA_MS)
#define DEFAULT_DEDUP (120 * SKUA_S)
#define DEFAULT_KEEP (600 * SKUA_S)

/* --- checking --- */

static bool token_char_is_good(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Words with dots between them. */
static bool subject_is_good(const char *subject)
{
    bool dot_may_come = false;
    size_t length = 0;

    for (; subject[length] != '\0'; length++) {
        if (length == SKUI_NATS_PREFIX_MAX ||
            (subject[length] == '.' ? !dot_may_come
                                    : !token_char_is_good(subject[length]))) {
            return false;
        }
        dot_may_come = subject[length] != '.';
    }
    return length > 0 && dot_may_come;
}

static const char *options_fault_of_identity(const skua_nats_options *options)
{
    int identities = (options->user != NULL) + (options->token != NULL) +
                     (options->credentials_file != NULL) +
                     (options->nkey != NULL);

    if (identities > 1) {
        return "more than one of user, token, credentials_file, nkey";
    }
    if ((options->nkey == NULL) != (options->nkey_seed_file == NULL)) {
        return "nkey and nkey_seed_file go together";
    }
    if (options->password != NULL && options->user == NULL) {
        return "a password without a user";
    }
    if ((options->cert_file == NULL) != (options->key_file == NULL)) {
        return "cert_file and key_file go together";
    }
    return NULL;
}

static const char *options_fault(const skua_nats_options *options)
{
    if (options->prefix != NULL && !subject_is_good(options->prefix)) {
        return "prefix is no subject";
    }
    if (options->inbox != NULL && !subject_is_good(options->inbox)) {
        return "inbox is no subject";
    }
    if (options->connect_timeout_ns < 0 || options->reconnect_wait_ns < 0 ||
        options->ping_ns < 0 || options->ack_wait_ns < 0 ||
        options->dedup_ns < 0 || options->result_keep_ns < 0) {
        return "a time is negative";
    }
    if (options->max_reconnect < -1 || options->replicas < 0 ||
        options->replicas > 5 || options->max_deliver < 0 ||
        options->max_deliver > UINT16_MAX) {
        return "max_reconnect, replicas or max_deliver is out of range";
    }
    if (options->max_message_bytes > INT_MAX / 2) {
        return "max_message_bytes is too large";
    }
    if (options->ack_wait_ns != 0 && options->ack_wait_ns < SMALLEST_ACK_WAIT) {
        return "ack_wait_ns is too short";
    }
    return options_fault_of_identity(options);
}

/* --- copying --- */

static size_t options_strings(skua_nats_options *of, const char ***out)
{
    static const size_t offsets[] = {
        offsetof(skua_nats_options, urls),
        offsetof(skua_nats_options, name),
        offsetof(skua_nats_options, prefix),
        offsetof(skua_nats_options, inbox),
        offsetof(skua_nats_options, user),
        offsetof(skua_nats_options, password),
        offsetof(skua_nats_options, token),
        offsetof(skua_nats_options, credentials_file),
        offsetof(skua_nats_options, nkey),
        offsetof(skua_nats_options, nkey_seed_file),
        offsetof(skua_nats_options, ca_file),
        offsetof(skua_nats_options, cert_file),
        offsetof(skua_nats_options, key_file),
        offsetof(skua_nats_options, server_name),
    };
    size_t count = sizeof(offsets) / sizeof(offsets[0]);

    for (size_t i = 0; i < count; i++) {
        out[i] = (const char **)(void *)((char *)of + offsets[i]);
    }
    return count;
}

enum { STRINGS = 14 };

/* Own copies; what cannot be copied is NULL. */
static int options_own(skua_nats_options *of)
{
    const char **strings[STRINGS];
    size_t count = options_strings(of, strings);
    int status = 0;

    for (size_t i = 0; i < count; i++) {
        const char *from = *strings[i];
        size_t bytes = from == NULL ? 0 : strlen(from) + 1;
        char *copy = NULL;

        if (from != NULL && status == 0) {
            copy = skui_allocate(bytes);
            status = copy == NULL ? -ENOMEM : 0;
        }
        if (copy != NULL) {
            memcpy(copy, from, bytes);
        }
        *strings[i] = copy;
    }
    return status;
}

static void options_fill(skua_nats_options *of)
{
    if (of->urls == NULL) {
        of->urls = "nats://127.0.0.1:4222";
    }
    if (of->name == NULL) {
        of->name = "skua";
    }
    if (of->prefix == NULL) {
        of->prefix = "skua";
    }
    if (of->inbox == NULL) {
        of->inbox = "_INBOX";
    }
    if (of->replicas == 0) {
        of->replicas = 1;
    }
    if (of->max_deliver == 0) {
        of->max_deliver = DEFAULT_MAX_DELIVER;
    }
    if (of->ack_wait_ns == 0) {
        of->ack_wait_ns = DEFAULT_ACK_WAIT;
    }
    if (of->dedup_ns == 0) {
        of->dedup_ns = DEFAULT_DEDUP;
    }
    if (of->result_keep_ns == 0) {
        of->result_keep_ns = DEFAULT_KEEP;
    }
    if (of->result_keep_ns < of->dedup_ns) {
        of->result_keep_ns = of->dedup_ns;
    }
}

int skui_nats_settings_init(struct skui_nats_settings *settings,
                            const skua_nats_options *options)
{
    const char *fault = options_fault(options);
    int status;

    if (fault != NULL) {
        return skua_raise(-EINVAL, "nats: %s", fault);
    }
    memset(settings, 0, sizeof(*settings));
    settings->of = *options;
    options_fill(&settings->of);
    status = options_own(&settings->of);
    if (status < 0) {
        skui_nats_settings_fini(settings);
        return status;
    }
    for (size_t i = 0; settings->of.prefix[i] != '\0'; i++) {
        char c = settings->of.prefix[i];

        settings->stream[i] = '_';
        if (c != '.') {
            settings->stream[i] = c;
        }
    }
    return 0;
}

/* Passwords do not stay in memory that is given back. */
static void string_release(const char *string)
{
    if (string != NULL) {
        explicit_bzero((char *)(uintptr_t)string, strlen(string));
        skui_release((char *)(uintptr_t)string);
    }
}

void skui_nats_settings_fini(struct skui_nats_settings *settings)
{
    const char **strings[STRINGS];
    size_t count = options_strings(&settings->of, strings);

    for (size_t i = 0; i < count; i++) {
        string_release(*strings[i]);
        *strings[i] = NULL;
    }
}

/* --- the client library's --- */

static const struct {
    natsStatus from;
    int to;
} statuses[] = {
    {NATS_OK, 0},
    {NATS_PROTOCOL_ERROR, -EPROTO},
    {NATS_IO_ERROR, -EIO},
    {NATS_LINE_TOO_LONG, -EPROTO},
    {NATS_CONNECTION_CLOSED, -ENOTCONN},
    {NATS_NO_SERVER, -ECONNREFUSED},
    {NATS_STALE_CONNECTION, -ENOTCONN},
    {NATS_SECURE_CONNECTION_WANTED, -EPROTO},
    {NATS_SECURE_CONNECTION_REQUIRED, -EPROTO},
    {NATS_CONNECTION_DISCONNECTED, -ENOTCONN},
    {NATS_CONNECTION_AUTH_FAILED, -EACCES},
    {NATS_NOT_PERMITTED, -EACCES},
    {NATS_NOT_FOUND, -ENOENT},
    {NATS_ADDRESS_MISSING, -EINVAL},
    {NATS_INVALID_SUBJECT, -EINVAL},
    {NATS_INVALID_ARG, -EINVAL},
    {NATS_MAX_PAYLOAD, -EMSGSIZE},
    {NATS_INSUFFICIENT_BUFFER, -ENOTCONN},
    {NATS_NO_MEMORY, -ENOMEM},
    {NATS_SYS_ERROR, -EIO},
    {NATS_TIMEOUT, -ETIMEDOUT},
    {NATS_SSL_ERROR, -EPROTO},
    {NATS_NO_SERVER_SUPPORT, -ENOTSUP},
    {NATS_NO_RESPONDERS, -EHOSTUNREACH},
};

int skui_nats_status(natsStatus status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].from == status) {
            return statuses[i].to;
        }
    }
    return -EIO;
}

void skui_nats_why(natsStatus status, char *why, size_t why_bytes)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last);

    if (text == NULL || last != status || text[0] == '\0') {
        text = natsStatus_GetText(status);
    }
    if (text[0] == '(' && strstr(text, "): ") != NULL) {
        text = strstr(text, "): ") + 3; /* where in its source that is */
    }
    (void)snprintf(why, why_bytes, "%s", text);
}

static natsStatus apply_identity(natsOptions *to, const skua_nats_options *of)
{
    if (of->user != NULL) {
        return natsOptions_SetUserInfo(
            to, of->user, of->password == NULL ? "" : of->password);
    }
    if (of->token != NULL) {
        return natsOptions_SetToken(to, of->token);
    }
    if (of->credentials_file != NULL) {
        return natsOptions_SetUserCredentialsFromFiles(to, of->credentials_file,
                                                       NULL);
    }
    return of->nkey == NULL
               ? NATS_OK
               : natsOptions_SetNKeyFromSeed(to, of->nkey, of->nkey_seed_file);
}

static natsStatus apply_tls(natsOptions *to, const skua_nats_options *of)
{
    natsStatus status = NATS_OK;

    if (of->tls || of->ca_file != NULL || of->cert_file != NULL ||
        of->server_name != NULL) {
        status = natsOptions_SetSecure(to, true);
    }
    if (status == NATS_OK && of->ca_file != NULL) {
        status = natsOptions_LoadCATrustedCertificates(to, of->ca_file);
    }
    if (status == NATS_OK && of->cert_file != NULL) {
        status =
            natsOptions_LoadCertificatesChain(to, of->cert_file, of->key_file);
    }
    if (status == NATS_OK && of->server_name != NULL) {
        status = natsOptions_SetExpectedHostname(to, of->server_name);
    }
    return status;
}

/* Milliseconds, rounded up. */
static int64_t ms_of(int64_t ns, int64_t otherwise)
{
    return ns == 0 ? otherwise : (ns - 1) / SKUA_MS + 1;
}

static natsStatus apply_times(natsOptions *to, const skua_nats_options *of)
{
    natsStatus status = natsOptions_SetTimeout(
        to, ms_of(of->connect_timeout_ns, DEFAULT_CONNECT_MS));

    if (status == NATS_OK) {
        status = natsOptions_SetReconnectWait(
            to, ms_of(of->reconnect_wait_ns, DEFAULT_RECONNECT_MS));
    }
    if (status == NATS_OK) {
        status = natsOptions_SetReconnectJitter(to, JITTER_MS, JITTER_MS);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetPingInterval(
            to, ms_of(of->ping_ns, DEFAULT_PING_MS));
    }
    if (status == NATS_OK) {
        status = natsOptions_SetMaxPingsOut(to, PINGS_OUT);
    }
    if (status == NATS_OK && of->max_reconnect == -1) {
        status = natsOptions_SetAllowReconnect(to, false);
    } else if (status == NATS_OK) {
        status = natsOptions_SetMaxReconnect(
            to, of->max_reconnect == 0 ? -1 : of->max_reconnect);
    }
    return status;
}

static natsStatus apply_servers(natsOptions *to, const skua_nats_options *of)
{
    const char *servers[64];
    char *urls = skui_allocate(strlen(of->urls) + 1);
    char *rest = urls;
    char *url;
    int count = 0;
    natsStatus status;

    if (urls == NULL) {
        return NATS_NO_MEMORY;
    }
    memcpy(urls, of->urls, strlen(of->urls) + 1);
    while ((url = strsep(&rest, ",")) != NULL && count < 64) {
        url += strspn(url, " ");
        if (*url != '\0') {
            servers[count++] = url;
        }
    }
    status = count == 0 || url != NULL
                 ? NATS_INVALID_ARG
                 : natsOptions_SetServers(to, servers, count);
    skui_release(urls);
    return status;
}

int skui_nats_settings_apply(const struct skui_nats_settings *settings,
                             natsOptions **out_options, char *why,
                             size_t why_bytes)
{
    const skua_nats_options *of = &settings->of;
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK) {
        status = apply_servers(options, of);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetName(options, of->name);
    }
    if (status == NATS_OK) {
        status = apply_identity(options, of);
    }
    if (status == NATS_OK) {
        status = apply_tls(options, of);
    }
    if (status == NATS_OK) {
        status = apply_times(options, of);
    }
    if (status == NATS_OK) {
        /* No thread that writes: the loop does. */
        status = natsOptions_SetSendAsap(options, true);
    }
    if (status != NATS_OK) {
        skui_nats_why(status, why, why_bytes);
        natsOptions_Destroy(options);
        return skui_nats_status(status);
    }
    *out_options = options;
    return 0;
}
