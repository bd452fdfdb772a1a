//! The flags of `outlast uploads`.

use clap::{ArgGroup, Args, Subcommand};

use super::connect::{ConnectArgs, OutputArgs};
use super::value;

/// What to do with unfinished uploads.
#[derive(Debug, Subcommand)]
pub(crate) enum UploadsCommand {
    /// List the journals kept here and, given a bucket, the uploads open there
    List(ListArgs),
    /// Abort unfinished uploads at the service and remove their journals
    Abort(AbortArgs),
}

/// `outlast uploads list`
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Bucket whose open uploads are listed too; the short form is -bn
    #[arg(long, value_name = "BUCKET", value_parser = value::label)]
    pub(crate) bucket_name: Option<String>,
    /// Object Storage namespace; the short form is -ns [default: asked of the service]
    #[arg(long, visible_alias = "namespace-name", value_name = "NAMESPACE", value_parser = value::label)]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `outlast uploads abort`
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["upload_id", "name", "all_of_ours"])))]
pub(crate) struct AbortArgs {
    /// Bucket; the short form is -bn [default: the journals' own]
    #[arg(long, value_name = "BUCKET", value_parser = value::label)]
    pub(crate) bucket_name: Option<String>,
    /// Object Storage namespace; the short form is -ns [default: the journals' own, else asked of the service]
    #[arg(long, visible_alias = "namespace-name", value_name = "NAMESPACE", value_parser = value::label)]
    pub(crate) namespace: Option<String>,
    /// The upload with this id
    #[arg(long, value_name = "ID")]
    pub(crate) upload_id: Option<String>,
    /// All uploads of this object name
    #[arg(long, visible_alias = "object-name", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Every upload that has a journal here
    #[arg(long, conflicts_with_all = ["upload_id", "name"])]
    pub(crate) all_of_ours: bool,
    /// Abort without asking
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
