#include "publisher/web/page_server.hpp"

namespace instar::publisher {

Result<std::unique_ptr<PageServer>> open_page_server(PageServerOptions) {
  return fail(Code::unsupported,
              "this `instar` serves no pages: it was built without libwebsockets; install libwebsockets-dev and build "
              "again, or let the broker serve the page (docs/dashboard.md)");
}

}  // namespace instar::publisher
