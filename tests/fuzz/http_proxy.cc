// What a client of the HTTP proxy can ask, and what a server can answer: a request that is carried is one
// that any server reads as we do, with one host and in origin form, and an answer does not depend on the
// pieces it came in.

#include <cstdint>
#include <cstdlib>
#include <optional>

#include "host/http/head.h"
#include "host/services/proxy/proxied_request.h"
#include "host/services/proxy/proxied_response.h"

namespace {

using namespace nsrun;

void require(bool fact) {
  if (!fact) std::abort();
}

void ask(std::string_view bytes) {
  const ProxiedRequests requests("nsrun-fuzz");
  std::size_t size = 0;
  std::unique_ptr<RequestParser> reading;
  const auto request = requests.take(bytes, size, reading);
  if (!request || size == 0) return;
  require(size <= bytes.size());
  require(Authority::parse(request->where.to_string()) == request->where);
  if (request->is_connect) return;
  RequestParser parser;
  const auto part = parser.take(request->head);
  require(part && part->is_head && part->size == request->head.size());
  require(parser.is_done() == request->rest->is_done());
  const HttpHead head(request->head);
  require(head.values("Host").size() == 1 && !head.has("Connection") && !head.has("Proxy-Authorization"));
  const auto target = head.first_line.substr(head.first_line.find(' ') + 1);
  require(target.starts_with("/") || target.starts_with("* "));
  // We know our own when it comes back.
  std::size_t again = 0;
  require(requests.take(request->head, again, reading).has_error());
}

// What the client gets of an answer that comes in two pieces; nothing: it is none.
std::optional<std::string> answered(std::string_view bytes, std::size_t cut, bool to_head) {
  ProxiedResponse response(to_head, true);
  std::string got;
  std::size_t taken = 0;
  for (const auto end : {cut, bytes.size()})
    while (taken < end && !response.done()) {
      const auto piece = response.take(bytes.substr(taken, end - taken), true);
      if (!piece) return std::nullopt;
      require(piece->size <= end - taken);
      if (piece->size == 0) break;
      got += piece->head.empty() ? bytes.substr(taken, piece->size) : piece->head;
      taken += piece->size;
    }
  response.end();
  return got + (response.done() ? " done" : "") + (response.keeps_alive() ? " goes on" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ask(bytes);
  const bool to_head = data[0] & 1;
  require(answered(bytes, bytes.size(), to_head) == answered(bytes, bytes.size() * data[0] / 256, to_head));
  return 0;
}
