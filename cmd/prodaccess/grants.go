package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/approvals"
)

func (c *command) grants() *cobra.Command {
	parent := &cobra.Command{Use: "grants", Short: "Look at grants, and write off those whose cluster is gone"}
	var asJSON, all bool
	list := &cobra.Command{
		Use: "list", Short: "List grants that are not over, or all with --all", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := c.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			cases, err := st.Cases(cmd.Context(), approvals.Query{LiveGrants: !all})
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(c.out)
			table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(table, "GRANT\tREQUEST\tSTATE\tTARGET\tPROFILE\tHOLDER\tLOGIN\tDEADLINE\tTROUBLE")
			}
			for _, k := range cases {
				if k.Grant == nil {
					continue
				}
				if asJSON {
					if err := encoder.Encode(k.Grant); err != nil {
						return err
					}
					continue
				}
				g := k.Grant
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.ID, g.Request, g.State, g.Target, g.Profile, g.Holder.Email,
					g.Login, g.Deadline.UTC().Format(time.RFC3339), g.LastError)
			}
			if asJSON {
				return nil
			}
			return table.Flush()
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	list.Flags().BoolVar(&all, "all", false, "the newest 200, those that are over included")
	parent.AddCommand(list, c.writeOff())
	return parent
}
