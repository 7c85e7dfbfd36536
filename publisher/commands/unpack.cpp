#include "publisher/artifact/unpacking.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher::unpack_command {
namespace {

std::string left_out_text(const files::StagingTree::LeftOut& left_out) {
  std::string text;
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count > 0) text += (text.empty() ? "" : ", ") + count_of(count, what);
  };
  add(left_out.owners, "owner");
  add(left_out.modes, "setuid or setgid bit");
  add(left_out.xattrs, "extended attribute");
  return text;
}

Outcome<Exit> run(UnpackOptions options, const Console& console) {
  TerminalWork terminal(console);
  options.work = terminal.work();
  auto done = unpack(options);
  terminal.end();
  if (!done) return fail(failure_of(std::move(done.error())));
  const std::string kind(artifact::pack_kind_name(done->kind));
  const std::string left_out = left_out_text(done->left_out);
  console.text() << options.out << ": " << done->entry_count << " entries, " << human_bytes(done->content_bytes)
                 << ", from " << kind << " pack " << done->pack << "\nartifact " << done->artifact.hex()
                 << (left_out.empty() ? ": the tree on disk hashes to it\n" : ": index and every content hash to it\n");
  if (!left_out.empty())
    console.text() << "not set: " << left_out << ". Run as root for a tree that is the same in these too\n";
  console.document({{"artifact", done->artifact.hex()},
                    {"pack", done->pack},
                    {"kind", kind},
                    {"folder", options.out},
                    {"entry_count", done->entry_count},
                    {"content_bytes", done->content_bytes},
                    {"tree_verified", left_out.empty()},
                    {"owners_left_out", done->left_out.owners},
                    {"modes_left_out", done->left_out.modes},
                    {"xattrs_left_out", done->left_out.xattrs}});
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<UnpackOptions>();
  auto* command = app.add_subcommand(
      "unpack",
      "Rebuild the directory tree of a pack\n\n"
      "Writes to DEST what a device would have: files, folders, links, owners, modes, ACLs, file capabilities, xattrs "
      "user.*; of an image, the file DEST/image. Without times in the artifact, each content has a time of its own. "
      "Every content is checked against the index, and the index against the artifact id. A delta needs the tree that "
      "it is against. As another user than root, owners and capabilities that cannot be set are left out, and "
      "counted.");
  command
      ->add_option("PACK", options->source,
                   "Pack file, or artifact folder: its delta against --base, else its full pack")
      ->required();
  command->add_option("DEST", options->out, "Folder for the tree; new or empty")->required();
  command->add_option("--base", options->base, "Directory tree or artifact folder that the delta is against")
      ->type_name("OLD");
  add_json(*command, context);
  command->footer(
      "Examples:\n"
      "  instar unpack out/web-2.4.1 rootfs\n"
      "  instar unpack --base out/web-2.4.0 out/web-2.4.1 rootfs");
  command->callback(
      [options, &context] { context.run = [options, &context] { return run(*options, context.console); }; });
}

}  // namespace instar::publisher::unpack_command
