// TLS over any connection.
//
//   caller ─ write ─► SSL_write ─► outgoing_ (memory) ─ flush ─► inner write
//   caller ◄─ read ── SSL_read ◄── incoming_ (memory) ◄─ fill ── inner read
//
// OpenSSL never does I/O of its own: it reads and writes memory, and we carry that to and from the connection
// below. Reading and writing go on at once, by two tasks of one thread; the connection below takes one write
// at a time, so only the writer flushes. What reading makes OpenSSL say (the answer to a key update) waits
// for the next write, before which it has to come (RFC 8446 4.6.3); a fatal alert is sent if no write is
// under way.
//
// finish() does not wait, but its close_notify may have to, where the connection below is full: a task sends
// it, which shares the session with us and is cancelled when we go. Usually it is done at once, inline.

#include "host/tls/tls_connection.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/this_coro.hpp>
#include <vector>

#include "runtime/address.h"

namespace nsrun {
namespace {

constexpr std::size_t piece = 64 * 1024;                 // bytes encrypted before they are passed on
constexpr std::size_t record = SSL3_RT_MAX_PACKET_SIZE;  // bytes: the largest that TLS sends at once

// Whom the server has to prove to be.
bool expect(SSL* ssl, const std::string& server) {
  if (const auto address = IpAddress::parse(server)) {
    // An address is not told to the server: RFC 6066 3 wants names only.
    auto* const parameters = SSL_get0_param(ssl);
    return X509_VERIFY_PARAM_set1_ip(parameters, address->data(), address->size()) == 1;
  }
  return SSL_set_tlsext_host_name(ssl, server.c_str()) == 1 && SSL_set1_host(ssl, server.c_str()) == 1;
}

Error cut_short(const char* doing) { return {doing, errno_code(ECONNRESET), "it ended without a word"}; }

}  // namespace

struct TlsConnection::Session {
  Session(Executor executor_, std::unique_ptr<Connection> inner_, SSL_CTX* context)
      : executor(executor_), inner(std::move(inner_)), ssl(SSL_new(context)), ended(executor_) {
    incoming = BIO_new(BIO_s_mem());
    outgoing = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(incoming, -1);  // empty is "later", not the end
    SSL_set_bio(ssl.get(), incoming, outgoing);
  }

  Task<Result<void>> flush();
  Task<Result<bool>> fill();  // false: nothing more will come
  Task<Result<void>> handshake();
  Error handshake_error() const;

  const Executor executor;
  const std::unique_ptr<Connection> inner;
  const tls::Ssl ssl;
  BIO* incoming;  // of ssl
  BIO* outgoing;  // of ssl
  std::vector<std::byte> taken, given;
  std::string protocol, server_name;
  bool writing = false, finished = false, end_done = false;
  Signal ended;  // raised with end_done
  asio::cancellation_signal cancel_end;
};

Task<Result<void>> TlsConnection::Session::flush() {
  while (BIO_ctrl_pending(outgoing) > 0) {
    given.resize(std::min(BIO_ctrl_pending(outgoing), piece));
    BIO_read(outgoing, given.data(), static_cast<int>(given.size()));
    if (auto sent = co_await inner->write(given); !sent) co_return sent;
  }
  co_return Result<void>{};
}

Task<Result<bool>> TlsConnection::Session::fill() {
  taken.resize(record);
  const auto chunk = co_await inner->read(taken);
  if (!chunk) co_return chunk.error();
  if (chunk->end) co_return false;
  BIO_write(incoming, taken.data(), static_cast<int>(chunk->size));
  co_return true;
}

Error TlsConnection::Session::handshake_error() const {
  const long verified = SSL_get_verify_result(ssl.get());
  if (verified == X509_V_OK) return tls::openssl_error("the TLS handshake failed");
  ERR_clear_error();
  return {std::string("the certificate is not to be trusted: ") + X509_verify_cert_error_string(verified),
          errno_code(EACCES)};
}

Task<Result<void>> TlsConnection::Session::handshake() {
  while (true) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl.get());
    const bool waits = done != 1 && SSL_get_error(ssl.get(), done) == SSL_ERROR_WANT_READ;
    std::optional<Error> failure;
    if (done != 1 && !waits) failure = handshake_error();
    const auto sent = co_await flush();  // the alert, too
    if (failure) co_return *failure;
    if (!sent || done == 1) co_return sent;
    const auto more = co_await fill();
    if (!more) co_return more.error();
    if (!*more) co_return cut_short("the TLS handshake was broken off");
  }
}

TlsConnection::~TlsConnection() {
  if (session_->finished && !session_->end_done) session_->cancel_end.emit(asio::cancellation_type::terminal);
}

const std::string& TlsConnection::protocol() const { return session_->protocol; }
const std::string& TlsConnection::server_name() const { return session_->server_name; }

Task<Result<Chunk>> TlsConnection::read(MutableBytes into) {
  Session& session = *session_;
  while (true) {
    ERR_clear_error();
    std::size_t size = 0;
    const int done = SSL_read_ex(session.ssl.get(), into.data(), into.size(), &size);
    if (done == 1) co_return Chunk{size, false};
    const int why = SSL_get_error(session.ssl.get(), done);
    if (why == SSL_ERROR_ZERO_RETURN) co_return Chunk{0, true};
    if (why != SSL_ERROR_WANT_READ) {
      auto failure = tls::openssl_error("the TLS connection broke while reading", ECONNRESET);
      if (!session.writing && !session.finished) (void)co_await session.flush();
      co_return failure;
    }
    const auto more = co_await session.fill();
    if (!more) co_return more.error();
    if (!*more) co_return cut_short("the TLS connection was cut off");
  }
}

Task<Result<void>> TlsConnection::write(Bytes bytes) {
  Session& session = *session_;
  if (session.finished) co_return Error{"the TLS connection has been finished", errno_code(EPIPE)};
  struct Writing {
    bool& flag;
    ~Writing() { flag = false; }
  } writing{session.writing = true};
  while (!bytes.empty()) {
    ERR_clear_error();
    const auto part = bytes.first(std::min(bytes.size(), piece));
    std::size_t size = 0;
    // Into memory, which is never full: all or an error.
    if (SSL_write_ex(session.ssl.get(), part.data(), part.size(), &size) != 1)
      co_return tls::openssl_error("the TLS connection broke while writing", ECONNRESET);
    if (auto sent = co_await session.flush(); !sent) co_return sent;
    bytes = bytes.subspan(size);
  }
  co_return Result<void>{};
}

Task<> TlsConnection::send_end(std::shared_ptr<Session> session) {
  const auto sent = co_await session->flush();
  if (sent) session->inner->finish();
  session->end_done = true;
  session->ended.raise();
}

void TlsConnection::finish() {
  if (std::exchange(session_->finished, true)) return;
  ERR_clear_error();
  SSL_shutdown(session_->ssl.get());
  ERR_clear_error();
  auto& session = *session_;
  // The signal outlives the task: Asio still lets go of the slot once the coroutine is gone.
  auto ended = [keep = session_](std::exception_ptr) {};
  asio::co_spawn(session.executor, send_end(session_),
                 asio::bind_cancellation_slot(session.cancel_end.slot(), std::move(ended)));
}

Task<> TlsConnection::end_sent() {
  while (session_->finished && !session_->end_done) co_await session_->ended.wait();
}

int TlsConnection::carrier_socket() const { return session_->inner->carrier_socket(); }

void TlsConnection::reset() { session_->inner->reset(); }

Task<TlsResult> start_tls(std::unique_ptr<Connection> inner, const TlsContext& context, std::string server,
                          Clock::duration limit) {
  const auto session = std::make_shared<TlsConnection::Session>(co_await asio::this_coro::executor,
                                                                std::move(inner), context.get());
  SSL* const ssl = session->ssl.get();
  if (context.is_server())
    SSL_set_accept_state(ssl);
  else
    SSL_set_connect_state(ssl);
  if (!server.empty() && !expect(ssl, server))
    co_return tls::openssl_error("'" + server + "' is not a valid name of a TLS server", EINVAL);

  const auto done = co_await within(limit, session->handshake());
  if (!done) co_return Error{"the TLS handshake was not answered", errno_code(ETIMEDOUT)};
  if (!*done) co_return done->error();
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  session->protocol.assign(reinterpret_cast<const char*>(protocol), size);
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) session->server_name = name;
  co_return std::unique_ptr<TlsConnection>(new TlsConnection(session));
}

Task<TlsResult> tls_connect(std::unique_ptr<Connection> inner, const TlsContext& context, std::string server,
                            Clock::duration limit) {
  return start_tls(std::move(inner), context, std::move(server), limit);
}

Task<TlsResult> tls_accept(std::unique_ptr<Connection> inner, const TlsContext& context,
                           Clock::duration limit) {
  return start_tls(std::move(inner), context, {}, limit);
}

}  // namespace nsrun
