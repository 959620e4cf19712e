drop table commit_tokens;
