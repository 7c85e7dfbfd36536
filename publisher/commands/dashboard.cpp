#include <algorithm>
#include <filesystem>
#include <iostream>
#include <list>
#include <utility>

#include "core/base/text.hpp"
#include "files/files.hpp"
#include "publisher/broker/broker_route.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/web/page_server.hpp"

namespace instar::publisher::dashboard_command {
namespace {

constexpr std::size_t kPageTokenBytes = 16;
// How long one wait is. Ctrl-C is noticed after each.
constexpr std::uint32_t kServeTurnMs = 200;

struct Options {
  ConnectionOptions connection;
  std::uint16_t port = 0;
  std::string page;
};

// Where packages and builds put the page, as seen from the program.
Outcome<std::string> find_page() {
  std::error_code failed;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  for (const auto* place : {"../share/instar/dashboard.html", "../share/instar/dashboard/index.html",
                            "../dashboard/instar-dashboard.html"}) {
    const auto file = folder / place;
    if (std::filesystem::is_regular_file(file, failed)) return file.lexically_normal().string();
  }
  return fail(Exit::invalid_input, Code::not_found,
              "there is no page beside this `instar`: npm makes it, and was not there or had no network when this was "
              "built (`ninja instar_dashboard` says why); --page names one that was made elsewhere");
}

Outcome<PageServerOptions> server_options(const Options& options, const Connection& connection) {
  PageServerOptions server;
  if (options.page.empty()) {
    INSTAR_TRY(server.page, find_page());
  } else {
    server.page = options.page;
  }
  server.port = options.port;
  INSTAR_TRY(const auto random, files::random_bytes(kPageTokenBytes));
  server.token = to_hex(random);
  server.prefix = connection.prefix;
  return server;
}

// The connections of pages to the broker. Why one did not come to be is said on the terminal: the page knows only that
// it has gone.
class Routes {
 public:
  Routes(const Connection& connection, const Console& console) : connection_(connection), console_(console) {}

  void add(int fd) { routes_.emplace_back(connection_, fd); }
  void tidy() {
    routes_.remove_if([&](const BrokerRoute& route) {
      if (!route.is_over()) return false;
      if (!route.fault().empty())
        console_.err << "instar: cannot reach " << connection_.broker << ": " << route.fault() << std::endl;
      return true;
    });
  }

 private:
  const Connection& connection_;
  const Console& console_;
  std::list<BrokerRoute> routes_;
};

Outcome<Exit> dashboard(const Options& options, const Console& console) {
  INSTAR_TRY(const auto connection, settle(options.connection));
  if (!connection.warning.empty()) console.err << "instar: " << clean_line(connection.warning) << "\n";
  INSTAR_CHECK(check_password_of_others(connection));
  INSTAR_TRY(auto wanted, server_options(options, connection));
  Routes routes(connection, console);
  wanted.connect = [&](int fd) { routes.add(fd); };
  INSTAR_TRY(const auto server, open_page_server(std::move(wanted)));
  INSTAR_CHECK(check_reachable(connection));
  console.text() << "The dashboard is at " << server->address() << "\n"
                 << "It reaches " << connection.broker
                 << " from here: log in with an operator's user name and password. Ctrl-C ends it." << std::endl;
  console.document({{"address", server->address()}, {"broker", connection.broker}});
  console.out.flush();
  while (!interrupted()) {
    server->serve(kServeTurnMs);
    routes.tidy();
  }
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "dashboard",
      "Serve the dashboard to a browser on this machine, until Ctrl-C\n\n"
      "Serves the page on 127.0.0.1 and forwards what it says to the broker, by the connection that is configured "
      "here, "
      "with TLS and client certificate: no WebSockets are needed at the broker. The address has a secret in it, a new "
      "one each time; who knows it and is on this machine reaches the broker's login.");
  command->add_option("--port", options->port, "Port of this machine [one that is free]")->type_name("N");
  command->add_option("--page", options->page, "The page [what was installed or built with this program]")
      ->type_name("FILE");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback(
      [options, &context] { context.run = [options, &context] { return dashboard(*options, context.console); }; });
}

}  // namespace instar::publisher::dashboard_command
