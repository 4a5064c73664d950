#include "host/forward/forward.h"

#include "host/text/url_text.h"

namespace nsrun {
namespace {

Error wrong_forward(std::string_view text, const std::string& what) {
  return {"cannot forward '" + without_password(text) + "': " + what,
          {},
          "write LISTEN=DIAL, for instance tcp://127.0.0.1:8080=unix:///run/app.sock",
          ExitCode::usage};
}

// Where DIAL begins: options of LISTEN have '=' too.
std::size_t second_url(std::string_view text) {
  for (auto equals = text.find('='); equals != text.npos; equals = text.find('=', equals + 1))
    if (EndpointUrl::is_scheme(scheme_of(text.substr(equals + 1)))) return equals + 1;
  return text.npos;
}

}  // namespace

Result<Forward> Forward::parse(std::string_view text) {
  const auto begin = second_url(text);
  if (begin == text.npos) return wrong_forward(text, "there is no second endpoint");
  auto listen = EndpointUrl::parse(text.substr(0, begin - 1));
  if (!listen) return listen.error();
  auto dial = EndpointUrl::parse(text.substr(begin));
  if (!dial) return dial.error();
  if (listen->transport() != dial->transport())
    return wrong_forward(text, "one endpoint has streams, the other datagrams");
  return Forward{std::move(*listen), std::move(*dial)};
}

}  // namespace nsrun
